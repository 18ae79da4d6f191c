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
export function describeWithPeer(name: PeerName, title: string, suite: (peer: Peer) => void): Promise<void> {
  return describeWithPeers([name], title, (peers) => suite(peers[name]));
}

/** The same for a suite that needs several. */
export async function describeWithPeers<Name extends PeerName>(
  names: readonly Name[],
  title: string,
  suite: (peers: Readonly<Record<Name, Peer>>) => void,
): Promise<void> {
  const found = await Promise.all(names.map(async (name) => ({ name, finding: await finding(name) })));
  describe(title, () => {
    const peers = found.flatMap(({ name, finding: { peer: one } }) =>
      one === undefined ? [] : [[name, one] as const],
    );
    if (peers.length === names.length) return suite(Object.fromEntries(peers) as Record<Name, Peer>);
    for (const { name, finding: each } of found) {
      if (each.peer !== undefined) continue;
      it(`needs ${name}`, (test) => {
        if (process.env['CI'] === 'true') throw new Error(`${name} is missing: ${each.reasons.join('; ')}`);
        test.skip(missingNote(name));
      });
    }
  });
}
