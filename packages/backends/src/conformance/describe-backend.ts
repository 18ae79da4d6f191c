import assert from 'node:assert/strict';
import type { Backend } from '@restic-engine/repo-format';
import { ABORT_CASES } from './aborts.ts';
import type { Case, Expected } from './case.ts';
import { LIFECYCLE_CASES } from './lifecycle.ts';
import { LIST_CASES } from './lists.ts';
import { LOAD_CASES } from './loads.ts';
import { SAVE_CASES } from './saves.ts';

/** The test runner; vitest's and node:test's `describe` and `it` fit. */
export interface Suite {
  describe(name: string, define: () => void): void;
  it(name: string, run: () => Promise<void>, timeoutMs: number): void;
}

/** Slow stores are fine; a call that never ends is not. */
const TIMEOUT_MS = 60_000;

const GROUPS: ReadonlyMap<string, readonly Case[]> = new Map([
  ['saving', SAVE_CASES],
  ['loading', LOAD_CASES],
  ['listing', LIST_CASES],
  ['aborting', ABORT_CASES],
  ['living and dying', LIFECYCLE_CASES],
]);

/**
 * Defines the tests every backend must pass. Each test gets an empty backend of its own from `make` and disposes of it;
 * what a backend does not claim in its traits is tested for an honest refusal instead.
 */
export function describeBackend(
  suite: Suite,
  name: string,
  make: () => Promise<Backend>,
  expected: Expected = {},
): void {
  suite.describe(`${name} as a backend`, () => {
    for (const [group, cases] of GROUPS) {
      suite.describe(group, () => {
        for (const each of cases) suite.it(each.name, () => runCase(each, make, expected), TIMEOUT_MS);
      });
    }
  });
}

async function runCase(each: Case, make: () => Promise<Backend>, expected: Expected): Promise<void> {
  const backend = await make();
  try {
    await backend.create();
    if (expected.traits) assert.deepEqual(backend.traits, expected.traits);
    await each.run(backend, expected);
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}
