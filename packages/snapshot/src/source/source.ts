/** What can be backed up: a tree that is walked in order, or objects that arrive in any order. */
import type { EngineError, Node, Timestamp } from '@restic-engine/repo-format';
import type { Platform } from '@restic-engine/repository';

/** Something to back up; made by `files`, `objects` or `stream`. */
export type Source = TreeSource | ObjectSource;

/** A source that knows its directories and can say cheaply what has not changed. */
export interface TreeSource {
  readonly kind: 'tree';
  open(context: SourceContext): OpenedTree;
}

export interface SourceContext {
  readonly platform: Platform;
  /** Tells what could not be read and is left out. */
  onError(path: string, error: EngineError): void;
  /** Tells what is not kept although its entry is. */
  onProblem(problem: string): void;
}

export interface OpenedTree {
  /** For the snapshot and for the search of a parent. */
  readonly paths: readonly string[];
  readonly root: SourceDirectory;
  /** Gets ready what a walk needs, while the caller waits for something else. */
  warm?(): void;
  /** Counts what a walk will find, as far as it has got; for progress only. */
  count?(): Iterable<SourceCount>;
}

/** Cumulative; sizes in bytes. */
export interface SourceCount {
  readonly files: number;
  readonly bytes: number;
}

/** A directory whose entries come in byte order of their names. Listing may throw an `EngineError`. */
export interface SourceDirectory {
  entries(): Iterable<SourceEntry>;
}

export type SourceEntry =
  | {
      readonly kind: 'directory';
      readonly path: string;
      readonly node: Node;
      readonly realPath: string;
      open(): SourceDirectory;
    }
  | { readonly kind: 'file'; readonly path: string; readonly node: Node; readonly realPath: string }
  | { readonly kind: 'other'; readonly path: string; readonly node: Node };

/** A source whose contents come once, in any order, and are stored as they come. */
export interface ObjectSource {
  readonly kind: 'objects';
  readonly paths: readonly string[];
  readonly entries: Iterable<ObjectEntry> | AsyncIterable<ObjectEntry>;
  /** A stream has no parent: its times are those of the backup (restic's rule for stdin). */
  readonly hasParent: boolean;
}

/** A file that a program makes up. */
export interface ObjectEntry {
  /** Where it is in the snapshot: components separated by `/`, a leading `/` changes nothing. */
  readonly path: string;
  /** Bytes, text (stored as UTF-8), or pieces of bytes or text. Bytes must not change before the backup has ended. */
  readonly content: Uint8Array | string | AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;
  /** Permission bits. @default 0o644 */
  readonly mode?: number | undefined;
  /** @default the parent snapshot's while the content stays the same, otherwise the time of the backup */
  readonly mtime?: Date | Timestamp | undefined;
  /** @default that of the process */
  readonly uid?: number | undefined;
  /** @default that of the process */
  readonly gid?: number | undefined;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
}
