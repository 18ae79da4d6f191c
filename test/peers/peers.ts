import { describe, it } from 'vitest';
import type { Peer } from './cache.ts';
import { type Finding, findPeer } from './find.ts';
import { missingNote } from './reporter.ts';
import type { PeerName } from './table.ts';

export type { Peer } from './cache.ts';
export type { PeerName } from './table.ts';

const findings = new Map<PeerName, Promise<Finding>>();

function finding(name: PeerName): Promise<Finding> {
  const known = findings.get(name) ?? findPeer(name, { patient: false });
  findings.set(name, known);
  return known;
}

/** A real program to test against, found or fetched once per process; `undefined` when it cannot be had. */
export async function peer(name: PeerName): Promise<Peer | undefined> {
  return (await finding(name)).peer;
}

/**
 * A suite that needs a real program, `await`ed at the top level of a test file. Without the program the suite is
 * skipped and named at the end of the run; with `CI=true` it fails instead.
 */
export async function describeWithPeer(name: PeerName, title: string, suite: (peer: Peer) => void): Promise<void> {
  const found = await finding(name);
  describe(title, () => {
    if (found.peer !== undefined) return suite(found.peer);
    it(`needs ${name}`, (test) => {
      if (process.env['CI'] === 'true') throw new Error(`${name} is missing: ${found.reasons.join('; ')}`);
      test.skip(missingNote(name));
    });
  });
}
