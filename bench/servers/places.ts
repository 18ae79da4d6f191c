/** Places on servers, and the two programs at them. */
import { initRepository, openBackend } from 'restic-engine';
import type { Backend } from 'restic-engine';
import type { Place } from '../../test/servers/server.ts';
import { PASSWORD, type Program } from '../macro/programs.ts';
import type { Measured } from '../macro/spawn.ts';

/** The same cost of opening the key for both; small beside the operations. */
const KDF = { N: 32_768, r: 8, p: 1 };
/** The same cuts for both. */
const POLYNOMIAL = '3da3358b4dc173';

export function openPlace({ location, env, options }: Place): Promise<Backend> {
  const pairs = options.map((option) => /^([^=]*)=(.*)$/.exec(option)?.slice(1) ?? []);
  return openBackend(location, { env, options: Object.fromEntries(pairs) as Record<string, string> });
}

/** Makes the repository that a program is measured at. */
export async function initPlace(place: Place): Promise<void> {
  await using backend = await openPlace(place);
  await initRepository({ backend, password: PASSWORD, kdf: KDF, chunkerPolynomial: POLYNOMIAL });
}

export function runAt(place: Place, program: Program, args: readonly string[]): Promise<Measured> {
  const options = place.options.flatMap((option) => ['-o', option]);
  return program.run(['--repo', place.location, ...options, ...args], place.env);
}
