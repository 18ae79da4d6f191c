import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '@restic-engine/repo-format';
import { describe, it } from 'vitest';
import { describeBackend } from '../src/conformance/index.ts';
import { localBackend, memoryBackend, withFaults, withLimit, withRetry, wrap } from '../src/index.ts';
import { override } from '../src/wrap/wrap.ts';

const suite = { describe, it };

/** A local backend in a new folder that goes away with it. */
async function temporaryLocal(): Promise<Backend> {
  const folder = await mkdtemp(join(tmpdir(), 'backend-'));
  return override(localBackend(join(folder, 'repo')), {
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  });
}

const all = { connections: 2, atomicReplace: true, listAfterWrite: true, canRemove: true };

describeBackend(suite, 'memory', async () => memoryBackend(), { traits: all });
describeBackend(suite, 'memory, append-only', async () => memoryBackend({ atomicReplace: false, canRemove: false }), {
  traits: { ...all, atomicReplace: false, canRemove: false },
});
describeBackend(suite, 'local', temporaryLocal, { traits: all });

describeBackend(suite, 'memory with retry', async () => wrap(memoryBackend(), withRetry()), { traits: all });
describeBackend(suite, 'memory with limit', async () => wrap(memoryBackend(), withLimit(1)), {
  traits: { ...all, connections: 1 },
});
describeBackend(suite, 'memory with faults that never happen', async () => wrap(memoryBackend(), withFaults({})));
describeBackend(suite, 'local with all wrappers', async () =>
  wrap(await temporaryLocal(), withFaults({}), withLimit(), withRetry()),
);
