/** The file system as a source. */
import type { BigIntStats } from 'node:fs';
import { EngineError, type Node } from '@restic-engine/repo-format';
import process from 'node:process';
import { cleanPath } from '../../filter/clean-path.ts';
import { compilePatterns } from '../../filter/pattern.ts';
import { loadNative } from '../../native/native.ts';
import { errorName, fromNodeError } from '../../native/system-error.ts';
import type { OpenedTree, SourceContext, SourceCount, SourceDirectory, SourceEntry, TreeSource } from '../source.ts';
import { listDirectory } from './list.ts';
import { lstatExact, readMetadata, statExact, type MetadataSettings } from './metadata.ts';
import { joinPath } from './path.ts';
import { createSelector, type Selector } from './select.ts';
import { localTargets, planTargets, type TargetNode } from './targets.ts';
import { createUserDatabase } from './users.ts';

/** Which files of this machine to back up. Patterns are restic's. */
export interface FilesOptions {
  /** Files and directories, absolute or relative to `cwd`; what a target's tree looks like is restic's rule. */
  readonly targets: readonly string[];
  /** @default the working directory of the process */
  readonly cwd?: string | undefined;
  /** Patterns; targets themselves are never excluded. */
  readonly excludes?: readonly string[] | undefined;
  /** Patterns without regard to case. */
  readonly iexcludes?: readonly string[] | undefined;
  /** `name` or `name:header`: directories that hold such a file are kept empty but for it. */
  readonly excludeIfPresent?: readonly string[] | undefined;
  /** Keeps directories marked with `CACHEDIR.TAG` empty but for the mark. @default false */
  readonly excludeCaches?: boolean | undefined;
  /** Bytes. */
  readonly excludeLargerThan?: number | undefined;
  /** Directories left out entirely, absolute. */
  readonly excludeDirectories?: readonly string[] | undefined;
  /** Stays on the file systems of the targets. @default false */
  readonly oneFileSystem?: boolean | undefined;
  /** Records access times; every reading then changes trees. @default false */
  readonly withAtime?: boolean | undefined;
  /** Records the device only of files with several names, so that it may change. @default false */
  readonly deviceIdForHardlinks?: boolean | undefined;
  /** Counts files ahead when somebody watches the progress. @default true */
  readonly scan?: boolean | undefined;
}

/**
 * Files and directories of this machine: every type of entry, hard links as the files they are, extended attributes
 * where `koffi` is installed. Sockets are left out. Opening throws `not-found` if there is none of the targets.
 */
export function files(options: FilesOptions): TreeSource {
  return { kind: 'tree', open: (context) => openFiles(options, context) };
}

/** Everything that walking needs. */
interface Walk {
  readonly selector: Selector;
  readonly settings: MetadataSettings;
  readonly context: SourceContext;
}

function openFiles(options: FilesOptions, context: SourceContext): OpenedTree {
  const fs = localTargets(options.cwd ?? process.cwd());
  const plan = planTargets(options.targets, fs);
  for (const { target, problem } of plan.missing) context.onError(target, problem);
  if (plan.paths.length === 0) {
    throw new EngineError('not-found', 'none of the files and directories to save exists');
  }
  let settings: MetadataSettings | undefined;
  const walk: Walk = {
    selector: selectorFor(options, plan.paths, context),
    get settings() {
      return (settings ??= settingsFor(options, context));
    },
    context,
  };
  return {
    paths: plan.paths,
    root: planned(plan.children, '', walk),
    warm: () => void walk.settings,
    ...(options.scan === false ? {} : { count: () => count(plan.children, walk) }),
  };
}

function settingsFor(
  { withAtime = false, deviceIdForHardlinks = false }: FilesOptions,
  context: SourceContext,
): MetadataSettings {
  const native = loadNative();
  if (native === undefined) {
    context.onProblem(
      'extended attributes are not kept: the optional package koffi is not installed, or has no calls here',
    );
  }
  return { zone: context.platform.zone, users: createUserDatabase(), native, withAtime, deviceIdForHardlinks };
}

function selectorFor(options: FilesOptions, targets: readonly string[], context: SourceContext): Selector {
  const { excludes = [], iexcludes = [], excludeIfPresent, excludeCaches, excludeLargerThan } = options;
  return createSelector({
    exclude: [compilePatterns(excludes), compilePatterns(iexcludes, { ignoreCase: true })],
    ...(excludeIfPresent === undefined ? {} : { excludeIfPresent }),
    ...(excludeCaches === undefined ? {} : { excludeCaches }),
    ...(excludeLargerThan === undefined ? {} : { excludeLargerThan }),
    ...(options.excludeDirectories === undefined
      ? {}
      : { excludeDirectories: options.excludeDirectories.map(cleanPath) }),
    ...(options.oneFileSystem === true ? { oneFileSystem: targets } : {}),
    onWarning: (warning) => context.onProblem(warning.message),
  });
}

/** A directory above the targets: only planned entries are in it. */
function planned(children: readonly TargetNode[], path: string, walk: Walk): SourceDirectory {
  return {
    *entries() {
      for (const child of children) {
        const entry = plannedEntry(child, `${path}/${child.name}`, walk);
        if (entry !== undefined) yield entry;
      }
    },
  };
}

function plannedEntry(target: TargetNode, path: string, walk: Walk): SourceEntry | undefined {
  if (target.kind === 'leaf') return entryAt(target.path, target.name, path, target.explicit, walk);
  const { context, settings } = walk;
  try {
    // Directories above a target are followed where they are links: what is backed up lies behind them.
    const stat = statExact(target.path);
    const request = { path: target.path, name: target.name, aboveTarget: true, onProblem: problemTeller(context) };
    const node = readMetadata(request, stat, settings);
    return { kind: 'directory', path, node, realPath: target.path, open: () => planned(target.children, path, walk) };
  } catch (error) {
    context.onError(target.path, fromNodeError(error, target.path));
    return undefined;
  }
}

function entryAt(realPath: string, name: string, path: string, explicit: boolean, walk: Walk): SourceEntry | undefined {
  const { selector, settings, context } = walk;
  if (!explicit && !selector.byName(realPath)) return undefined;
  try {
    const stat = lstatExact(realPath);
    if (stat.isSocket() || (!explicit && !selector.byMetadata(realPath, stat))) return undefined;
    const node = readMetadata({ path: realPath, name, onProblem: problemTeller(context) }, stat, settings);
    return entryOf(node, realPath, path, stat, walk);
  } catch (error) {
    // Gone since its directory was listed: no error, as in restic, but not in silence. A target must be there.
    if (!explicit && errorName(error) === 'ENOENT') context.onProblem(`${realPath} vanished before it could be read`);
    else context.onError(realPath, fromNodeError(error, realPath));
    return undefined;
  }
}

function entryOf(node: Node, realPath: string, path: string, stat: BigIntStats, walk: Walk): SourceEntry {
  if (stat.isDirectory())
    return { kind: 'directory', path, node, realPath, open: () => directory(realPath, path, walk) };
  return node.type === 'file' ? { kind: 'file', path, node, realPath } : { kind: 'other', path, node };
}

/** A directory with all its entries. It is listed at once, so that a failure is known before anything is stored. */
function directory(realPath: string, path: string, walk: Walk): SourceDirectory {
  const names = listOrFail(realPath);
  return {
    *entries() {
      let last: string | undefined;
      for (const name of names) {
        // Broken file systems list a name twice.
        if (name === last) continue;
        last = name;
        const entry = entryAt(joinPath(realPath, name), name, `${path}/${name}`, false, walk);
        if (entry !== undefined) yield entry;
      }
    },
  };
}

function listOrFail(path: string): string[] {
  try {
    return listDirectory(path);
  } catch (error) {
    throw fromNodeError(error, path);
  }
}

function problemTeller(context: SourceContext): (problem: EngineError) => void {
  return (problem) => context.onProblem(problem.message);
}

/** Counts regular files; what cannot be read is the walk's to report. */
function* count(children: readonly TargetNode[], walk: Walk): Generator<SourceCount> {
  const total = { files: 0, bytes: 0 };
  const pending: { path: string; explicit: boolean }[] = leaves(children);
  for (let steps = 1; pending.length > 0; steps++) {
    const next = pending.pop();
    if (next !== undefined) countEntry(next, walk, total, pending);
    if (steps % 1024 === 0) yield { ...total };
  }
  yield total;
}

function countEntry(
  { path, explicit }: { path: string; explicit: boolean },
  { selector }: Walk,
  total: { files: number; bytes: number },
  pending: { path: string; explicit: boolean }[],
): void {
  if (!explicit && !selector.byName(path)) return;
  try {
    const stat = lstatExact(path);
    if (!explicit && !selector.byMetadata(path, stat)) return;
    if (stat.isDirectory()) {
      for (const name of listDirectory(path)) pending.push({ path: joinPath(path, name), explicit: false });
    } else if (stat.isFile()) {
      total.files += 1;
      total.bytes += Number(stat.size);
    }
  } catch (error) {
    if (!EngineError.is(error) && errorName(error) === undefined) throw error;
  }
}

function leaves(nodes: readonly TargetNode[]): { path: string; explicit: boolean }[] {
  return nodes.flatMap((node) =>
    node.kind === 'leaf' ? [{ path: node.path, explicit: node.explicit }] : leaves(node.children),
  );
}
