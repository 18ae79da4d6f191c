import { createWriteStream } from 'node:fs';
import { posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { SnapshotFilter } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { withLockedRepository } from '../open.ts';
import { collect, snapshotFilter } from '../values/filter.ts';

interface Request {
  readonly snapshot: string;
  readonly path: string;
  readonly target: string | undefined;
  readonly filter: SnapshotFilter;
}

export function defineDump(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return program
    .command('dump')
    .description(
      'Print the content of a file in a snapshot. "latest" stands for the latest snapshot, and "ID:folder" for a part of one. Folders, which restic packs into an archive, are not available yet.',
    )
    .argument('[snapshotID]')
    .argument('[file]')
    .option(
      '-H, --host <host>',
      'only consider snapshots for this host, when snapshot ID "latest" is given (can be specified multiple times, use empty string to unset default value) (default: $RESTIC_HOST)',
      collect,
    )
    .option(
      '--tag <tag[,tag,...]>',
      'only consider snapshots including tag[,tag,...], when snapshot ID "latest" is given (can be specified multiple times)',
      collect,
    )
    .option(
      '--path <path>',
      'only consider snapshots including this (absolute) path, when snapshot ID "latest" is given (can be specified multiple times)',
      collect,
    )
    .option('-t, --target <path>', 'write the output to target path')
    .action(async (snapshot, path, options) => {
      const context = start();
      if (snapshot === undefined || path === undefined) throw new Fatal('no file and no snapshot ID specified');
      const filter = snapshotFilter(options, context.env);
      await dump(context, { snapshot, path: posix.resolve('/', path), target: options.target, filter });
    });
}

async function dump(context: Context, { snapshot: spec, path, target, filter }: Request): Promise<void> {
  await withLockedRepository(context, async (repository, engine, signal) => {
    const { snapshot, subfolder } = await engine.findSnapshot(repository, spec, { filter, signal });
    const indexed = await repository.loadIndex({ signal });
    const tree = await engine.findTree(indexed, snapshot.tree, subfolder, { signal });
    const node = path === '/' ? undefined : await engine.findNode(indexed, tree, path, { signal });
    if (node === undefined || node.type === 'dir') {
      throw new Fatal(`cannot dump file: "${path.toWellFormed()}" is a folder, which is not available yet`);
    }
    if (node.type !== 'file') {
      throw new Fatal(`cannot dump file: "${path.toWellFormed()}" should be a file, but is a "${node.type}"`);
    }
    const content = engine.readFile(indexed, node, { signal });
    if (target !== undefined) await pipeline(content, createWriteStream(target), { signal });
    else for await (const chunk of content) await context.ui.bytes(chunk);
  });
}
