/** How costly a password is to check: limits for what others chose, and a choice for this machine. */
import { nodePrimitives } from '../crypto/node-primitives.ts';
import type { Primitives, ScryptParams } from '../crypto/primitives.ts';
import { EngineError } from '../errors.ts';

/** Memory that one derivation may take. restic chooses 32 MiB, old versions 64 MiB. */
const MAX_MEMORY_BYTES: number = 256 * 2 ** 20;
/** Bytes mixed in one derivation, 128·N·r·p: half a minute or so; restic chooses up to half a second. */
const MAX_WORK_BYTES: number = 8 * 2 ** 30;

const CALIBRATION_TIMEOUT_MS = 500;
const CALIBRATION_MEMORY_BYTES: number = 60 * 2 ** 20;
const CALIBRATION_R = 8;
/** Not less, however slow the machine or its clock: restic's default where it cannot measure. */
const MIN_N = 16_384;

/**
 * Throws `illegal` for parameters that scrypt does not have (RFC 7914 §2), `too-large` for a derivation beyond the
 * limits.
 */
export function checkScryptParams({ N, r, p }: ScryptParams, illegal: 'corrupt' | 'bad-request' = 'corrupt'): void {
  const positive = [N, r, p].every((value) => Number.isSafeInteger(value) && value >= 1);
  const bits = Math.log2(N);
  if (!positive || bits < 1 || !Number.isInteger(bits) || bits >= 16 * r) {
    throw new EngineError(illegal, 'illegal parameters for scrypt', { N, r, p });
  }
  if (128 * r * (N + p) > MAX_MEMORY_BYTES || 128 * N * r * p > MAX_WORK_BYTES) {
    throw new EngineError('too-large', 'a key that costs too much to open', { N, r, p });
  }
}

export interface CalibrateOptions {
  /** How long a derivation shall take, in milliseconds; 500 unless given. */
  readonly timeoutMs?: number;
  /** How much memory it may take, in bytes; 60 MiB unless given. */
  readonly memoryBytes?: number;
  /** A clock in milliseconds. */
  readonly now: () => number;
  readonly primitives?: Primitives;
}

/**
 * Parameters that make a derivation on this machine take about as long as wanted, found by measuring one: the largest
 * table that fits the memory and the time, mixed as often as the time allows.
 */
export async function calibrateScrypt(options: CalibrateOptions): Promise<ScryptParams> {
  const { timeoutMs = CALIBRATION_TIMEOUT_MS, memoryBytes = CALIBRATION_MEMORY_BYTES } = options;
  const { now, primitives = nodePrimitives } = options;
  const r = CALIBRATION_R;
  let N = Math.max(MIN_N, 2 ** Math.floor(Math.log2(Math.min(memoryBytes, MAX_MEMORY_BYTES / 2) / (128 * r))));
  const start = now();
  await primitives.scrypt(new Uint8Array(16), new Uint8Array(64), { N, r, p: 1 });
  let elapsed = Math.max(1, now() - start);
  while (elapsed > timeoutMs && N > MIN_N) {
    N /= 2;
    elapsed /= 2;
  }
  const most = Math.floor(MAX_WORK_BYTES / (128 * N * r));
  return { N, r, p: Math.max(1, Math.min(most, Math.floor(timeoutMs / elapsed))) };
}
