/** What every task of one restore is told, and what it tells back. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code, ErrorContext } from '@restic-engine/repo-format';
import { compilePatterns } from '../../filter/pattern.ts';
import { loadNative } from '../../native/native.ts';
import { createUserDatabase } from '../../source/fs/users.ts';
import { createMetadataWriter, isPrivileged } from './metadata.ts';
import type { MetadataWriter } from './metadata.ts';
import { sinkError } from './errors.ts';
import type { TargetSpec } from './folders.ts';

/** Structured-cloneable. */
export interface SinkSpec {
  /** Tells restores of one process apart. */
  readonly serial: number;
  readonly target: TargetSpec;
  /** May directories with something in them be removed where a file belongs? */
  readonly recursive: boolean;
  /** Leave holes in new files. */
  readonly sparse: boolean;
  readonly ownershipByName: boolean;
  readonly includeXattr: readonly string[];
  readonly excludeXattr: readonly string[];
  /** One number, shared: not 0 once the restore is to end. Tasks look at it between files and blobs. */
  readonly stop: Int32Array;
}

/** An error on its way between threads. */
export interface PlainError {
  readonly code: Code;
  readonly message: string;
  readonly context: ErrorContext;
}

/** What a task met besides its result. */
export interface TaskReport {
  readonly errors: { readonly path: string; readonly error: PlainError }[];
  readonly problems: string[];
}

export function newReport(): TaskReport {
  return { errors: [], problems: [] };
}

/** True once the restore is to end. */
export function stopped(sink: SinkSpec): boolean {
  return Atomics.load(sink.stop, 0) !== 0;
}

/** What failed at `path` of the snapshot. */
export function plainError(error: unknown, path: string): PlainError {
  return sinkError(error, path).toJSON();
}

export function revive({ code, message, context }: PlainError): EngineError {
  return new EngineError(code, message, context);
}

let latest: { readonly serial: number; readonly writer: MetadataWriter } | undefined;

/** The metadata writer of a restore in this thread. */
export function metadataWriter(sink: SinkSpec): MetadataWriter {
  if (latest?.serial !== sink.serial) latest = { serial: sink.serial, writer: createWriter(sink) };
  return latest.writer;
}

function createWriter(sink: SinkSpec): MetadataWriter {
  const includes = compilePatterns(sink.includeXattr);
  const excludes = compilePatterns(sink.excludeXattr);
  const selectXattr = (name: string): boolean => (includes.size > 0 ? includes.matches(name) : !excludes.matches(name));
  return createMetadataWriter({
    native: loadNative(),
    privileged: isPrivileged(),
    ...(sink.ownershipByName ? { ownershipByName: createUserDatabase() } : {}),
    ...(includes.size + excludes.size > 0 ? { selectXattr } : {}),
  });
}

/** For `MetadataWriter.apply`: what the target cannot hold is a problem, everything else an error of the item. */
export function reporter(report: TaskReport, path: string): (problem: EngineError) => void {
  return (problem) => {
    const error = plainError(problem, path);
    if (problem.code === 'unsupported') report.problems.push(error.message);
    else report.errors.push({ path, error });
  };
}
