import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { withRepository } from '../open.ts';
import { createPhaseReport } from '../render/phases.ts';
import { keepFile } from '../values/keep-file.ts';

const MANUAL: Manual = {
  examples: [
    {
      purpose: 'Save what is sound in a damaged pack',
      words: '-r /srv/backups repair packs 32615a07402a8c31adeed929afbbc3a7d7b1cb63927fd28023e502621df16bd9',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineRepairPacks(repair: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(repair.command('packs'), MANUAL)
    .summary('Salvage damaged pack files')
    .description(
      'Extract intact blobs from the specified pack files, rebuild the index to leave out the damaged pack files and remove them from the repository. A copy of each is kept in the current folder.',
    )
    .argument('[packIDs...]')
    .action((ids: readonly string[]) => repairPacks(start(), ids));
}

async function repairPacks(context: Context, ids: readonly string[]): Promise<void> {
  const { globals, signal, ui } = context;
  if (ids.length === 0) throw new Fatal('no ids specified');
  await withRepository(context, async (repository, engine) => {
    const wrong = ids.find((id) => !engine.isId(id));
    if (wrong !== undefined) throw new Fatal(`invalid ID "${wrong}": the full ID of a pack is needed`);
    using report = createPhaseReport(ui, {
      index: { title: 'saving backup copies of pack files to current folder', counts: 'index files loaded' },
      salvage: { title: 'salvaging intact data from specified pack files', counts: 'pack files' },
      'remove-index': { title: 'rebuilding index', counts: 'old indexes deleted' },
      'remove-packs': { title: 'removing salvaged pack files', counts: 'files deleted' },
    });
    const result = await engine.repairPacks(repository, ids, {
      keepCopy: (pack, bytes) => keepFile(`pack-${pack}`, bytes),
      retryLockMs: globals.retryLockMs,
      signal,
      onProgress: (progress) => report.onProgress(progress),
    });
    report.finish();
    for (const pack of result.missingPacks) ui.warn(`pack ${pack} does not exist: only the index is repaired`);
    for (const { type, id, pack, message, elsewhere } of result.lostBlobs) {
      const note = elsewhere ? ', but there is another copy' : '';
      ui.warn(`failed to load ${type} blob ${id} from pack ${pack}: ${message}${note}`);
    }
    for (const problem of result.problems) ui.warn(problem);
    if (ui.json) ui.line(summaryJson(result));
    ui.say('\nUse `restic-engine repair snapshots --forget` to remove the corrupted data blobs from all snapshots');
  });
}

function summaryJson({
  removedPacks,
  salvagedBlobs,
  lostBlobs,
}: {
  readonly removedPacks: readonly string[];
  readonly salvagedBlobs: number;
  readonly lostBlobs: readonly unknown[];
}): string {
  return JSON.stringify({
    message_type: 'summary',
    removed_packs: removedPacks,
    salvaged_blobs: salvagedBlobs,
    lost_blobs: lostBlobs.length,
  });
}
