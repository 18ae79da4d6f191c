import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { SnapshotFilter, Stats, StatsMode } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { InvalidValue } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { chooseSnapshots } from '../named.ts';
import { loadIndex, withLockedRepository } from '../open.ts';
import { formatBytes, formatFixed } from '../render/bytes.ts';
import { createPhaseReport } from '../render/phases.ts';
import { addFilterFlags, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';

const MODES: readonly StatsMode[] = ['restore-size', 'files-by-contents', 'blobs-per-file', 'raw-data'];

interface Request {
  readonly ids: readonly string[];
  readonly filter: SnapshotFilter;
  readonly mode: StatsMode;
}

interface Flags extends FilterFlags {
  readonly mode: StatsMode;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'How large would a restore of the latest snapshot be?', words: '-r /srv/backups stats latest' },
    { purpose: 'How much is stored?', words: '-r /srv/backups stats --mode raw-data' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineStats(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('stats'), MANUAL)
    .description(
      `Add up the sizes in snapshots: all, those that pass a filter, or those that are named. The modes are:

* restore-size: the size of the restored files (default)
* files-by-contents: the size of files, where files with the same contents count once
* raw-data: the size of the blobs in the repository, regardless of how many files reference them
* blobs-per-file: the size of the blobs, each counted once for every path`,
    )
    .argument('[snapshotID...]')
    .addOption(
      new Option('--mode <mode>', 'counting mode').choices(MODES).argParser(parseMode).default('restore-size'),
    );
  addFilterFlags(command);
  return command.action(async (ids: readonly string[], flags: Flags) => {
    const context = start();
    await stats(context, { ids, filter: snapshotFilter(flags, context.env), mode: flags.mode });
  });
}

async function stats(context: Context, { ids, filter, mode }: Request): Promise<void> {
  const { ui } = context;
  await withLockedRepository(context, async (repository, engine, signal) => {
    const indexed = await loadIndex(context, repository, signal);
    if (!ui.json) ui.line('scanning...');
    const snapshots = await chooseSnapshots(context, repository, engine, { ids, filter, signal });
    const oldestFirst = snapshots.toSorted((a, b) => engine.compareTimestamps(a.time, b.time));
    using report = createPhaseReport(ui, { snapshots: { counts: 'snapshots' } });
    const result = await engine.stats(indexed, oldestFirst, {
      mode,
      signal,
      onProgress: ({ snapshotsDone: done, snapshotsTotal: total }) =>
        report.onProgress({ phase: 'snapshots', done, total }),
    });
    report[Symbol.dispose]();
    if (ui.json) ui.line(statsJson(result));
    else for (const line of statsLines(result, mode)) ui.line(line);
  });
}

/** The numbers restic tells of compression; 0 for what does not apply. */
function compressionOf({ size, compression }: Stats): { ratio: number; progress: number; saving: number } {
  const { uncompressedSize = 0, compressedBlobs } = compression ?? {};
  const { size: packed = 0, uncompressedSize: plain = 0 } = compressedBlobs ?? {};
  return {
    ratio: packed > 0 ? plain / packed : 0,
    progress: uncompressedSize > 0 ? (plain / uncompressedSize) * 100 : 0,
    saving: uncompressedSize > 0 ? (1 - size / uncompressedSize) * 100 : 0,
  };
}

function statsJson(result: Stats): string {
  const { ratio, progress, saving } = compressionOf(result);
  return JSON.stringify({
    total_size: result.size,
    total_uncompressed_size: result.compression?.uncompressedSize || undefined,
    compression_ratio: ratio || undefined,
    compression_progress: progress || undefined,
    compression_space_saving: saving || undefined,
    total_file_count: result.files || undefined,
    total_blob_count: result.blobs || undefined,
    snapshots_count: result.snapshots,
  });
}

function statsLines(result: Stats, mode: StatsMode): string[] {
  const { ratio, progress, saving } = compressionOf(result);
  const uncompressed = result.compression?.uncompressedSize ?? 0;
  const rows: [string, number, string][] = [
    ['Total Blob Count', result.blobs, String(result.blobs)],
    ['Total File Count', result.files, String(result.files)],
    ['Total Uncompressed Size', uncompressed, formatBytes(uncompressed).padEnd(5)],
    ['Total Size', Infinity, formatBytes(result.size).padEnd(5)],
    ['Compression Progress', progress, `${formatFixed(progress, 2)}%`],
    ['Compression Ratio', ratio, `${formatFixed(ratio, 2)}x`],
    ['Compression Space Saving', saving, `${formatFixed(saving, 2)}%`],
  ];
  const shown = rows.filter(([, value]) => value > 0);
  return [
    `Stats in ${mode} mode:`,
    `${'Snapshots processed'.padStart(24)}:  ${result.snapshots}`,
    ...shown.map(([title, , text]) => `${title.padStart(24)}:  ${text}`),
  ];
}

function parseMode(text: string): StatsMode {
  const mode = MODES.find((name) => name === text);
  if (mode === undefined) throw new InvalidValue(`unknown counting mode: ${text} (one of ${MODES.join(', ')})`);
  return mode;
}
