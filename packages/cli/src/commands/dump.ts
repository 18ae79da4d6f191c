import { createWriteStream } from 'node:fs';
import { posix } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { SnapshotFilter } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, InvalidValue } from '../failure.ts';
import { withLockedRepository } from '../open.ts';
import { addFilterFlags, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';

interface Request {
  readonly snapshot: string;
  readonly path: string;
  readonly target: string | undefined;
  readonly filter: SnapshotFilter;
}

interface Flags extends FilterFlags {
  readonly target?: string | undefined;
}

export function defineDump(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = program
    .command('dump')
    .description(
      'Print a file of a snapshot, or a folder as a tar archive; "/" is the whole snapshot. "latest" stands for the latest snapshot, and "ID:folder" for a part of one.',
    )
    .argument('[snapshotID]')
    .argument('[file]')
    .option('-a, --archive <format>', 'set archive format, "tar" ("zip" is not available yet)', parseArchive)
    .option('-t, --target <path>', 'write the output to target path');
  addFilterFlags(command, { latest: true });
  return command.action(async (snapshot, path, flags: Flags) => {
    const context = start();
    if (snapshot === undefined || path === undefined) throw new Fatal('no file and no snapshot ID specified');
    const filter = snapshotFilter(flags, context.env);
    await dump(context, { snapshot, path: posix.resolve('/', path), target: flags.target, filter });
  });
}

async function dump(context: Context, { snapshot: spec, path, target, filter }: Request): Promise<void> {
  await withLockedRepository(context, async (repository, engine, signal) => {
    const { snapshot, subfolder } = await engine.findSnapshot(repository, spec, { filter, signal });
    const indexed = await repository.loadIndex({ signal });
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
        : engine.packTar(indexed, node?.subtree ?? tree, { prefix: path.slice(1), signal });
    if (target !== undefined) await pipeline(content, createWriteStream(target), { signal });
    else for await (const chunk of content) await context.ui.bytes(chunk);
  });
}

function parseArchive(format: string): 'tar' {
  if (format === 'tar') return format;
  throw new InvalidValue(format === 'zip' ? 'zip is not available yet' : `unknown archive format "${format}"`);
}
