import type { Backend, FileHandle } from '@restic-engine/repo-format';
import { describe, it } from 'vitest';
import { describeBackend } from '../../src/conformance/index.ts';
import { override } from '../../src/wrap/wrap.ts';
import { makePlace } from './support.ts';

/** A memory behind a cache of its own; with `metadata`, every pack is one that holds trees. */
async function cached(metadata: boolean): Promise<Backend> {
  const place = await makePlace();
  const backend = place.open();
  const hinted = (file: FileHandle): FileHandle => (metadata ? { ...file, metadata } : file);
  return override(backend, {
    save: (file, segments, call) => backend.save(hinted(file), segments, call),
    load: (file, range, call) => backend.load(hinted(file), range, call),
    [Symbol.asyncDispose]: async () => {
      await backend[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  });
}

const traits = { connections: 2, atomicReplace: true, listAfterWrite: true, canRemove: true };

describeBackend({ describe, it }, 'memory behind a cache', () => cached(false), { traits });
describeBackend({ describe, it }, 'memory behind a cache that keeps all packs', () => cached(true), { traits });
