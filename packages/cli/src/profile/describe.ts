/** Everything a profile says, checked, and with the line that says it. */
import { readSettings } from './apply.ts';
import type { Target } from './apply.ts';
import type { Entry, Origin, Table } from './entry.ts';
import { hooksAt } from './hooks.ts';
import { checkSections, flagsAt, sectionAt, variablesIn } from './settings.ts';
import { sourcesIn } from './sources.ts';
import { commandsOf } from './use.ts';

/** A value as a profile has it. */
export type Plain = string | number | boolean | readonly Plain[];

export interface Line {
  readonly key: string;
  readonly value: Plain;
  readonly origin: Origin;
  /** What counts instead: `--repo` or `$RESTIC_REPOSITORY`. */
  readonly beatenBy: string | undefined;
}

/** A table of the profile. */
export interface Part {
  /** `['backup', 'hooks']` */
  readonly path: readonly string[];
  /** One of several of that path. */
  readonly repeated: boolean;
  readonly lines: readonly Line[];
}

/** `target.command` is the program, with all commands loaded. Throws `UsageError` for anything that is wrong. */
export function describeProfile(root: Table, target: Target): Part[] {
  const { command: program, env } = target;
  checkSections(root, commandsOf(program));
  const common = flagLines(sectionAt(root, ['global']), target);
  const variables = [...variablesIn(root)].map(([key, entry]) =>
    line(key, entry, env[key] ? 'the environment' : undefined),
  );
  const parts = [
    part(['global'], common),
    part(['env'], variables),
    hookPart(root, []),
    ...program.commands.flatMap((command) => commandParts(root, [command.name()], { ...target, command })),
  ];
  return parts.filter(({ lines, repeated }) => repeated || lines.length > 0);
}

function commandParts(root: Table, path: readonly string[], target: Target): Part[] {
  const { command } = target;
  const own = flagLines(flagsAt(root, path, commandsOf(command)), target);
  const inner = command.commands.flatMap((child) =>
    commandParts(root, [...path, child.name()], { ...target, command: child }),
  );
  return [
    part(path, own),
    hookPart(root, path),
    ...(path.join() === 'backup' ? sourceParts(root, target) : []),
    ...inner,
  ];
}

function sourceParts(root: Table, target: Target): Part[] {
  const list = sectionAt(root, ['backup']).members.get('sources');
  const tables = list?.kind === 'list' ? list.items : [];
  return sourcesIn(root).map(({ settings }, index) => {
    const flags = new Map(flagLines(settings, target).map((each) => [each.key, each]));
    const source = tables[index];
    const members = source?.kind === 'table' ? [...source.members] : [];
    const lines = members.map(([key, entry]) => flags.get(key) ?? line(key, entry, undefined));
    return { path: ['backup', 'sources'], repeated: true, lines };
  });
}

function hookPart(root: Table, path: readonly string[]): Part {
  hooksAt(root, path);
  const { members } = sectionAt(root, [...path, 'hooks']);
  return part(
    [...path, 'hooks'],
    [...members].map(([key, entry]) => line(key, entry, undefined)),
  );
}

function flagLines(settings: Table, target: Target): Line[] {
  return readSettings(settings, target).map(({ key, entry, beatenBy }) => line(key, entry, beatenBy));
}

function part(path: readonly string[], lines: readonly Line[]): Part {
  return { path, repeated: false, lines };
}

function line(key: string, entry: Entry, beatenBy: string | undefined): Line {
  return { key, value: plain(entry), origin: entry.origin, beatenBy };
}

function plain(entry: Entry): Plain {
  if (entry.kind === 'scalar') return entry.value;
  // Where a table could stand, reading has refused it.
  return entry.kind === 'list' ? entry.items.map(plain) : [];
}
