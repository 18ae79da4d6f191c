/** The flags that choose snapshots. */
import { resolve } from 'node:path';
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { GroupBy, SnapshotFilter } from 'restic-engine';
import type { Environment } from '../globals.ts';
import { InvalidValue } from '../failure.ts';

/** Collects the values of a flag that may be repeated. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

/** Each `--tag a,b` is a list of its own. */
export function splitTags(value: string): string[] {
  return value.split(',').map((tag) => tag.trim());
}

export interface FilterFlags {
  readonly host?: readonly string[] | undefined;
  readonly tag?: readonly string[] | undefined;
  readonly path?: readonly string[] | undefined;
}

/** The flags of {@link FilterFlags}; `latest`: they only choose among what `latest` can mean. */
export function addFilterFlags(
  command: CommandUnknownOpts,
  { latest = false, host = '-H, --host <host>' }: { readonly latest?: boolean; readonly host?: string } = {},
): void {
  const when = latest ? ', when snapshot ID "latest" is given' : '';
  const repeated = 'can be specified multiple times';
  command
    .optionsGroup('Which Snapshots:')
    .option(
      host,
      `only consider snapshots for this host${when} (${repeated}, use empty string to unset default value) (default: $RESTIC_HOST)`,
      collect,
    )
    .option('--tag <tag[,tag,...]>', `only consider snapshots including tag[,tag,...]${when} (${repeated})`, collect)
    .option(
      '--path <path>',
      `only consider snapshots including this (absolute) path${when} (${repeated}, snapshots must include all specified paths)`,
      collect,
    );
}

/** --host (default $RESTIC_HOST; an empty value takes that back), --tag and --path. */
export function snapshotFilter({ host, tag = [], path = [] }: FilterFlags, env: Environment): SnapshotFilter {
  const hosts = host ?? [env['RESTIC_HOST'] ?? ''];
  // One empty name takes back the default; beside others it means snapshots without a host.
  const isNone = hosts.length === 1 && hosts[0] === '';
  return { hosts: isNone ? [] : hosts, tags: tag.map(splitTags), paths: path };
}

/** For `latest`, as for restic, paths count from the working directory on; else they are what the snapshot says. */
export function latestFilter(flags: FilterFlags, env: Environment): SnapshotFilter {
  return withAbsolutePaths(snapshotFilter(flags, env));
}

export function withAbsolutePaths(filter: SnapshotFilter): SnapshotFilter {
  return { ...filter, paths: filter.paths?.map((name) => resolve(name)) };
}

const GROUPS: Readonly<Record<string, GroupBy>> = {
  host: 'host',
  hosts: 'host',
  path: 'paths',
  paths: 'paths',
  tag: 'tags',
  tags: 'tags',
};

/** `preset` is what holds without it. */
export function groupByFlag(preset?: string): Option<'-g, --group-by <group>', undefined, undefined, GroupBy[]> {
  return new Option('-g, --group-by <group>', "group snapshots by these, separated by comma (disable grouping with '')")
    .choices(['host', 'paths', 'tags'])
    .argParser(parseGroupBy)
    .default(undefined, preset);
}

/** `host,paths`; the empty text groups by nothing. */
export function parseGroupBy(text: string): GroupBy[] {
  return text.split(',').flatMap((word) => {
    const name = word.trim();
    if (name === '') return [];
    const group = GROUPS[name];
    if (group === undefined) throw new InvalidValue(`unknown grouping option: "${name}"`);
    return group;
  });
}
