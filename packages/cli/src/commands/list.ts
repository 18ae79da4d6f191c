import { Argument, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { FileType } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { LinePrinter } from '../line-printer.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { loadIndex, withLockedRepository, withRepository } from '../open.ts';
import { collect } from '../values/filter.ts';

const FILES: Readonly<Record<string, FileType>> = {
  packs: 'data',
  index: 'index',
  snapshots: 'snapshot',
  keys: 'key',
  locks: 'lock',
};
const TYPES = ['blobs', ...Object.keys(FILES)];
const KINDS = TYPES.join('|');

const MANUAL: Manual = {
  examples: [{ purpose: 'Print the IDs of all snapshots', words: '-r /srv/backups list snapshots' }],
  exits: REPOSITORY_EXITS,
};

export function defineList(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('list'), MANUAL)
    .description('List the objects of one type in the repository.')
    .usage(`[options] [${KINDS}]`)
    .addArgument(new Argument('[type...]').choices(TYPES).argParser(collect))
    .action(async (kinds: readonly string[]) => {
      const context = start();
      const [kind, ...more] = kinds;
      if (kind === undefined || more.length > 0) throw new Fatal(`specify one type, one of [${KINDS}]`);
      if (kind === 'blobs') return listBlobs(context);
      const type = FILES[kind];
      if (type === undefined) throw new Fatal(`invalid type "${kind}", must be one of [${KINDS}]`);
      return listFiles(context, type);
    });
}

async function listFiles(context: Context, type: FileType): Promise<void> {
  // A lock of its own would be among the locks.
  const open: typeof withLockedRepository =
    type === 'lock'
      ? (_, work) => withRepository(context, (...args) => work(...args, context.signal))
      : withLockedRepository;
  await open(context, async (repository, engine, signal) => {
    const printer = new LinePrinter(context.ui, engine);
    for await (const { name } of repository.list(type, { signal })) await printer.line(name);
    await printer.flush();
  });
}

async function listBlobs(context: Context): Promise<void> {
  await withLockedRepository(context, async (repository, engine, signal) => {
    const { table } = await loadIndex(context, repository, signal);
    const printer = new LinePrinter(context.ui, engine);
    for (const { type, id } of table.entries()) await printer.line(`${type} ${id}`);
    await printer.flush();
  });
}
