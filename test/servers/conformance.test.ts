import { describeBackend } from '@restic-engine/backends/conformance';
import { describe, expect, it } from 'vitest';
import { override } from '../../packages/backends/src/wrap/wrap.ts';
import { describeWithServers, KINDS, openPlace } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';

// REST servers of others; ours, and those of other protocols, are with what else there is to say about them.

showLogsOfFailures();

const TRAITS = { connections: 5, atomicReplace: false, listAfterWrite: true, canRemove: true };
/** rclone replaces where restic's server refuses; the protocol does not tell which of them it is. */
const REPLACING = new Set(['rclone']);
const KINDS_OF_REST = KINDS.filter(({ protocol, peer }) => protocol === 'rest' && peer !== undefined);

await describeWithServers('a place', KINDS_OF_REST, ({ kind, server }) => {
  let places = 0;
  const secrets: string[] = [];
  const make = async () => {
    places += 1;
    const place = await server().place(`place-${places}`);
    secrets.push(...place.secrets);
    const backend = await openPlace(place);
    expect(backend.traits).toEqual(TRAITS);
    return override(backend, { traits: { ...TRAITS, atomicReplace: REPLACING.has(kind.name) } });
  };
  describeBackend({ describe, it }, kind.name, make, { secrets });
});
