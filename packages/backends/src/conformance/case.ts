import assert from 'node:assert/strict';
import { EngineError } from '@restic-engine/repo-format';
import type { Backend, BackendTraits, Code } from '@restic-engine/repo-format';

/** What is known of the backend under test beside its own words. */
export interface Expected {
  /** The traits it must claim. Default: whatever it claims. */
  readonly traits?: BackendTraits;
  /** Passwords and keys it was made with; its `location` must show none of them. */
  readonly secrets?: readonly string[];
}

/** One promise of the contract. `backend` is new, empty, and its place was created. */
export interface Case {
  readonly name: string;
  run(backend: Backend, expected: Expected): Promise<void>;
}

/** Asserts that `work` rejects with an `EngineError` of this code. */
export async function rejects(work: Promise<unknown>, code: Code): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(EngineError.is(error), `expected an EngineError with code ${code}, got ${String(error)}`);
    assert.equal(error.code, code, `expected code ${code}, got ${error.code}: ${error.message}`);
    return true;
  });
}

/** Compares without the element-by-element report that makes a large mismatch take minutes. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  assert.ok(Buffer.compare(actual, expected) === 0, `${what}: content`);
}
