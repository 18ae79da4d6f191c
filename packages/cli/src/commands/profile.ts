import { basename } from 'node:path';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import type { GlobalFlags } from '../flags.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import type { Engine } from '../open.ts';
import { describeProfile } from '../profile/describe.ts';
import type { Line, Part, Plain } from '../profile/describe.ts';
import { listProfiles, profileFolders, profileName } from '../profile/find.ts';
import { loadProfile, parentsOf } from '../profile/load.ts';
import type { Profile } from '../profile/load.ts';

const NONE: ReadonlySet<string> = new Set();

const EXITS = { ...LOCAL_EXITS, 1: 'there is no such profile, or something in it is wrong' };

const SHOW: Manual = {
  examples: [
    { purpose: 'Check a profile, and see what it comes to', words: 'profile nightly' },
    { purpose: 'See what counts beside the flags and the environment', words: '-P nightly --repo /srv/other profile' },
  ],
  exits: EXITS,
};
const LIST: Manual = {
  examples: [{ purpose: 'List the profiles there are', words: 'profile list' }],
  exits: EXITS,
};

/** `program` has all commands, because a profile may speak of any. */
export function defineProfile(program: CommandUnknownOpts, start: Start, flags: GlobalFlags): CommandUnknownOpts {
  const command = documented(program.command('profile'), SHOW)
    .description(
      'Show all that a profile says, with the files it inherits from, and complain of all that is wrong in it.',
    )
    .argument('[name]', 'name of the profile, or path of its file (default: that of --profile)')
    .action(async (name) => {
      const context = start();
      const wanted = name ?? (flags.profile || context.env['RESTIC_ENGINE_PROFILE']);
      if (!wanted) throw new Fatal('no profile specified');
      const profile = await loadProfile(wanted, context.env);
      const parts = describeProfile(profile.root, { command: program, flags, off: NONE, env: context.env });
      await show(context, profile, await withoutSecrets(parts, context));
    });
  documented(command.command('list'), LIST)
    .summary('List the profiles there are')
    .description('List the profiles that can be named, with their files.')
    .action(() => list(start()));
  return command;
}

async function list({ env, ui }: Context): Promise<void> {
  const folders = profileFolders(env);
  const files = await listProfiles(folders);
  const rows = await Promise.all(
    files.map(async (file) => ({ name: profileName(file), file, inherits: await parentsOf(file) })),
  );
  if (ui.json) {
    ui.line(JSON.stringify(rows));
    return;
  }
  if (rows.length === 0) {
    ui.say(`there are no profiles in ${folders.join(' or ')}`);
    return;
  }
  const columns = [
    { header: 'Name', cell: (row: (typeof rows)[number]) => row.name },
    { header: 'File', wraps: true, cell: (row: (typeof rows)[number]) => ui.screen.name(row.file) },
    { header: 'Inherits', cell: (row: (typeof rows)[number]) => row.inherits.join(', ') },
  ];
  ui.table(columns, rows);
}

async function show({ ui }: Context, { name, files }: Profile, parts: readonly Part[]): Promise<void> {
  if (ui.json) {
    const tables = parts.map(({ path, lines }) => ({
      table: path.join('.'),
      settings: lines.map(({ key, value, origin, beatenBy }) => ({
        key,
        value,
        file: origin.file,
        line: origin.line,
        ...(beatenBy !== undefined && { overridden_by: beatenBy }),
      })),
    }));
    ui.line(JSON.stringify({ message_type: 'profile', name, files, tables }));
    return;
  }
  ui.line(`# profile ${name}: ${files.join(', ')}`);
  for (const { path, repeated, lines } of parts) {
    const title = path.map(tomlKey).join('.');
    ui.line(repeated ? `\n[[${title}]]` : `\n[${title}]`);
    for (const line of lines) ui.line(lineText(line));
  }
}

function lineText({ key, value, origin, beatenBy }: Line): string {
  const note = beatenBy === undefined ? '' : `, but ${beatenBy} counts`;
  return `${tomlKey(key)} = ${tomlValue(value)}  # ${basename(origin.file)}:${origin.line}${note}`;
}

function tomlKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
}

/** What JSON escapes, TOML escapes alike. */
function tomlValue(value: Plain): string {
  return typeof value === 'object' ? `[${value.map(tomlValue).join(', ')}]` : JSON.stringify(value);
}

const HIDDEN = '***';
/** Variables that hold no secret; of others nobody can know. */
const OPEN: ReadonlySet<string> = new Set([
  'AWS_DEFAULT_REGION',
  'AWS_PROFILE',
  'AWS_REGION',
  'RESTIC_FEATURES',
  'RESTIC_PROGRESS_FPS',
  'RESTIC_REST_USERNAME',
  'TMPDIR',
]);
const LOCATIONS: ReadonlySet<string> = new Set(['repo', 'from-repo']);

async function withoutSecrets(parts: readonly Part[], context: Context): Promise<Part[]> {
  const engine = await import('restic-engine');
  const hide = async (path: readonly string[], line: Line): Promise<Line> => {
    if (path[0] === 'env') return OPEN.has(line.key) ? line : { ...line, value: HIDDEN };
    if (!LOCATIONS.has(line.key)) return line;
    return { ...line, value: await publicLocation(engine, String(line.value), context) };
  };
  return Promise.all(
    parts.map(async (part) => ({
      ...part,
      lines: await Promise.all(part.lines.map((line) => hide(part.path, line))),
    })),
  );
}

/** A location that is not understood may be a password from its first letter on. */
async function publicLocation(engine: Engine, location: string, { env }: Context): Promise<string> {
  try {
    await using place = await engine.openBackend(location, { env });
    return place.location;
  } catch (error) {
    if (engine.EngineError.is(error)) return HIDDEN;
    throw error;
  }
}
