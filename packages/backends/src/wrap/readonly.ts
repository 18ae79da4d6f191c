import { EngineError } from '@restic-engine/repo-format';
import { changedTraits, override } from './wrap.ts';
import type { Wrapper } from './wrap.ts';

/** Refuses everything that would change the store: `create`, `save`, `remove` and `removeFolders` reject with `denied`. */
export function withReadonly(): Wrapper {
  return (backend) =>
    override(backend, {
      traits: changedTraits(backend, { canRemove: false }),
      create: () => refuse('create'),
      save: () => refuse('save'),
      remove: () => refuse('remove'),
      removeFolders: () => refuse('removeFolders'),
    });
}

async function refuse(operation: string): Promise<never> {
  throw new EngineError('denied', `${operation}: the repository was opened read-only`, { operation });
}
