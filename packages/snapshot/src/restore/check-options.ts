/** What can be wrong with the options of a restore, known before anything else of a restore is loaded. */
import { resolve } from 'node:path';
import { EngineError } from '@restic-engine/repo-format';
import { compileSelector } from './select.ts';
import type { Selector } from './select.ts';
import type { RestoreTreeOptions } from './types.ts';

/** Compiles the patterns. Throws `bad-request` for options that contradict each other. */
export function checkOptions(options: RestoreTreeOptions): Selector {
  const selector = compileSelector(options);
  if (options.delete === true && selector.all && resolve(options.target) === resolve('/')) {
    throw new EngineError('bad-request', 'deleting everything else from the root directory needs a selection', {});
  }
  if ((options.includeXattr?.length ?? 0) > 0 && (options.excludeXattr?.length ?? 0) > 0) {
    throw new EngineError('bad-request', 'including and excluding extended attributes exclude each other', {});
  }
  return selector;
}
