import { createWriteStream } from 'node:fs';
import { posix } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { SnapshotFilter } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, InvalidValue } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { loadIndex, withLockedRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { addFilterFlags, latestFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';

interface Request {
  readonly snapshot: string;
  readonly path: string;
  readonly target: string | undefined;
  readonly archive: ArchiveFormat;
  readonly filter: SnapshotFilter;
}

interface Flags extends FilterFlags {
  readonly archive: ArchiveFormat;
  readonly target?: string | undefined;
}

const FORMATS = ['tar', 'zip'] as const;
type ArchiveFormat = (typeof FORMATS)[number];

const MANUAL: Manual = {
  examples: [
    { purpose: 'Print a file', words: '-r /srv/backups dump latest /home/ann/notes.txt' },
    {
      purpose: 'Write a folder as an archive',
      words: '-r /srv/backups dump latest /home/ann --archive zip --target /tmp/ann.zip',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineDump(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('dump'), MANUAL)
    .description(
      'Print a file of a snapshot, or a folder as an archive; "/" is the whole snapshot. "latest" stands for the latest snapshot, and "ID:folder" for a part of one.',
    )
    .argument('[snapshotID]')
    .argument('[file]')
    .addOption(
      new Option('-a, --archive <format>', 'format of the archive')
        .choices(FORMATS)
        .argParser(parseArchive)
        .default('tar'),
    )
    .option('-t, --target <path>', 'write the output to target path');
  addFilterFlags(command, { latest: true });
  return command.action(async (snapshot, path, flags: Flags) => {
    const context = start();
    if (snapshot === undefined || path === undefined) throw new Fatal('no file and no snapshot ID specified');
    const filter = latestFilter(flags, context.env);
    const { target, archive } = flags;
    await dump(context, { snapshot, path: posix.resolve('/', path), target, archive, filter });
  });
}

async function dump(context: Context, request: Request): Promise<void> {
  const { snapshot: spec, path, target, archive, filter } = request;
  await withLockedRepository(context, async (repository, engine, signal) => {
    const { snapshot, subfolder } = await engine.findSnapshot(repository, spec, { filter, signal });
    const indexed = await loadIndex(context, repository, signal);
    const tree = await engine.findTree(indexed, snapshot.tree, subfolder, { signal });
    const node = path === '/' ? undefined : await engine.findNode(indexed, tree, path, { signal });
    if (node !== undefined && node.type !== 'dir' && node.type !== 'file') {
      throw new Fatal(`cannot dump file: "${path.toWellFormed()}" should be a file, but is a "${node.type}"`);
    }
    if (node?.type !== 'file' && target === undefined && process.stdout.isTTY) {
      throw new Fatal('cannot dump file: stdout is the terminal, please redirect output');
    }
    const content =
      node?.type === 'file'
        ? engine.readFile(indexed, node, { signal })
        : packWith(engine, archive)(indexed, node?.subtree ?? tree, { prefix: path.slice(1), signal });
    if (target !== undefined) await pipeline(content, createWriteStream(target), { signal });
    else for await (const chunk of content) await context.ui.bytes(chunk);
  });
}

function packWith(engine: Engine, format: ArchiveFormat): Engine['packTar'] {
  return format === 'zip' ? engine.packZip : engine.packTar;
}

function parseArchive(format: string): ArchiveFormat {
  const found = FORMATS.find((name) => name === format);
  if (found !== undefined) return found;
  throw new InvalidValue(`unknown archive format "${format}"`);
}
