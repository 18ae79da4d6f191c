/** What upkeep finds, as values for programs and sentences for people. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code, Id } from '@restic-engine/repo-format';

/** What is wrong, or could be better. */
export type CheckProblemKind =
  /** An index file cannot be read. */
  | 'index-broken'
  /** An index names a pack that is not there. */
  | 'pack-missing'
  /** A pack is not as long as the index says. */
  | 'pack-size'
  /** The content of a pack is damaged, or not what the index says. */
  | 'pack-damaged'
  /** A pack is in no index: left over, harmless. */
  | 'pack-orphaned'
  /** A pack waits for its deletion by a lock-free prune: harmless. */
  | 'pack-marked'
  /** Several index files name the pack: harmless. */
  | 'pack-duplicate'
  /** A pack holds both trees and data, as old versions of restic made them: harmless. */
  | 'pack-mixed'
  /** A snapshot file cannot be read. */
  | 'snapshot-broken'
  /** A tree is in no index or cannot be read, so what is below it is lost. */
  | 'tree-broken'
  /** An entry of a tree makes no sense. */
  | 'node-broken'
  /** A part of a file is in no index. */
  | 'blob-missing'
  /** No snapshot needs the blob: harmless. */
  | 'blob-unused';

/** One finding. Ids are 64 hex digits. */
export interface CheckProblem {
  readonly kind: CheckProblemKind;
  readonly message: string;
  readonly index?: Id;
  /** Of a broken tree, the pack whose bytes are damaged, if they are. */
  readonly pack?: Id;
  readonly snapshot?: Id;
  /** The tree in which it was found. */
  readonly tree?: Id;
  readonly blob?: Id;
  /** The code of the store's failure, where that is all that is known: it says nothing of what is stored. */
  readonly failure?: Code;
}

const NOT_ABOUT_FILES: ReadonlySet<Code> = new Set<Code>(['aborted', 'locked']);

/** What an error says of the file it is about; errors about anything else are thrown again. */
export function sentenceOf(error: unknown): string {
  if (!EngineError.is(error) || NOT_ABOUT_FILES.has(error.code)) throw error;
  return error.message;
}

/** What says that stored bytes are not what they must be, rather than that they cannot be had just now. */
const DAMAGE: ReadonlySet<Code> = new Set<Code>(['corrupt', 'not-found', 'out-of-range', 'too-large', 'unsupported']);

/** What a problem says of an error: the code of one that proves no damage. */
export function failureOf(error: unknown): Pick<CheckProblem, 'failure'> {
  return EngineError.is(error) && !DAMAGE.has(error.code) ? { failure: error.code } : {};
}
