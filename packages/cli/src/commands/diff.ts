import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { DiffResult, DiffTotals } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { loadIndex, withLockedRepository } from '../open.ts';
import { LinePrinter } from '../line-printer.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { formatBytes } from '../render/bytes.ts';
import { toJson } from '../render/json.ts';
import type { Screen } from '../render/screen.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Compare two snapshots', words: '-r /srv/backups diff 5845b002 2ab627a6' },
    {
      purpose: 'Compare a folder of both, metadata too',
      words: '-r /srv/backups diff --metadata 5845b002:/home/ann 2ab627a6:/home/ann',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineDiff(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('diff'), MANUAL)
    .description(
      `Show differences between two snapshots, or folders of them ("ID:folder"). The first characters of a line mean:

* +  the item was added
* -  the item was removed
* U  the metadata (access mode, timestamps, ...) of the item was updated
* M  the content of the file was modified
* T  the type of the item was changed, e.g. a file became a symlink
* ?  the content changed and nothing else, maybe by bit rot`,
    )
    .argument('[snapshotID...]')
    .option('--metadata', 'print changes in metadata')
    .action(async (ids: readonly string[], { metadata }) => {
      const context = start();
      const [before, after, ...more] = ids;
      if (before === undefined || after === undefined || more.length > 0) throw new Fatal('specify two snapshot IDs');
      await diff(context, before, after, metadata ?? false);
    });
}

async function diff(context: Context, before: string, after: string, metadata: boolean): Promise<void> {
  const { ui } = context;
  await withLockedRepository(context, async (repository, engine, signal) => {
    const find = (spec: string): ReturnType<typeof engine.findSnapshot> => {
      if (/^latest(:|$)/.test(spec)) throw new Fatal(`no matching ID found for prefix "latest"`);
      return engine.findSnapshot(repository, spec, { signal });
    };
    const [one, two] = [await find(before), await find(after)];
    ui.say(`comparing snapshot ${one.snapshot.id.slice(0, 8)} to ${two.snapshot.id.slice(0, 8)}:\n`);
    const indexed = await loadIndex(context, repository, signal);
    const printer = new LinePrinter(ui, engine);
    const result = await engine.diffTrees(
      indexed,
      await engine.findTree(indexed, one.snapshot.tree, one.subfolder, { signal }),
      await engine.findTree(indexed, two.snapshot.tree, two.subfolder, { signal }),
      {
        metadata,
        signal,
        onChange: ({ path, modifier }) => {
          if (ui.verbosity === 0) return;
          void printer.line(
            ui.json ? toJson({ message_type: 'change', path, modifier }) : changeLine(ui.screen, modifier, path),
          );
        },
      },
    );
    await printer.flush();
    if (ui.json) ui.line(toJson({ ...statistics(result, before, after) }));
    else for (const line of summary(result)) ui.line(line);
  });
}

function changeLine({ name, style }: Screen, modifier: string, path: string): string {
  const line = `${modifier.padEnd(5)}${name(path)}`;
  const color = modifier === '+' ? 'green' : modifier === '-' ? 'red' : 'yellow';
  return style(color, line);
}

function statistics({ changedFiles, added, removed }: DiffResult, before: string, after: string): object {
  const totals = ({ files, dirs, others, dataBlobs, treeBlobs, bytes }: DiffTotals): object => ({
    files,
    dirs,
    others,
    data_blobs: dataBlobs,
    tree_blobs: treeBlobs,
    bytes,
  });
  return {
    message_type: 'statistics',
    source_snapshot: before,
    target_snapshot: after,
    changed_files: changedFiles,
    added: totals(added),
    removed: totals(removed),
  };
}

function summary({ changedFiles, added, removed }: DiffResult): string[] {
  const row = (title: string, now: number, old: number): string =>
    `${title.padEnd(13)}${String(now).padStart(5)} new, ${String(old).padStart(5)} removed`;
  return [
    '',
    `${row('Files:', added.files, removed.files)}, ${String(changedFiles).padStart(5)} changed`,
    row('Dirs:', added.dirs, removed.dirs),
    row('Others:', added.others, removed.others),
    row('Data Blobs:', added.dataBlobs, removed.dataBlobs),
    row('Tree Blobs:', added.treeBlobs, removed.treeBlobs),
    `  Added:   ${formatBytes(added.bytes).padEnd(5)}`,
    `  Removed: ${formatBytes(removed.bytes).padEnd(5)}`,
  ];
}
