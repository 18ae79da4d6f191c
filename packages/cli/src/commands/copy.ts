import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { CopyEvent, CopyResult, Repository } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { copyFigures } from '../metrics/figures.ts';
import { findNamed, tellIgnored } from '../named.ts';
import { withRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { formatBytes } from '../render/bytes.ts';
import { createPhaseReport } from '../render/phases.ts';
import { describeSnapshot } from '../render/snapshot.ts';
import { addSecondaryFlags, secondaryOf, withSecondary } from '../secondary.ts';
import type { SecondaryFlags } from '../secondary.ts';
import type { Ui } from '../ui.ts';
import { addFilterFlags, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';

interface Flags extends FilterFlags, SecondaryFlags {}

const MANUAL: Manual = {
  examples: [
    {
      purpose: 'Copy the snapshots of a host',
      words: '-r /srv/second copy --from-repo /srv/backups --from-password-file /etc/backup.key --host web1',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineCopy(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('copy'), MANUAL)
    .description(
      'Copy snapshots from one repository to another: all, those that pass a filter, or those that are named. Files are not cut anew: where a repository was not made with --copy-chunker-params, what both have by other backups is stored twice.',
    )
    .argument('[snapshotID...]');
  addSecondaryFlags(command, 'snapshots');
  addFilterFlags(command);
  return command.action((ids: readonly string[], flags: Flags) => copy(start(), ids, flags));
}

async function copy(context: Context, ids: readonly string[], flags: Flags): Promise<void> {
  const { env, outcome, ui } = context;
  const secondary = secondaryOf(flags, env);
  const filter = snapshotFilter(flags, env);
  const engine = await import('restic-engine');
  const result = await withSecondary(context, engine, secondary, (source) =>
    withRepository(context, (target) => copySnapshots(context, engine, { source, target, ids, filter })),
  );
  outcome.figures.push(...copyFigures(result));
  outcome.snapshots.push(...result.copied.map(({ target }) => target));
  for (const problem of result.problems) ui.warn(problem);
  if (ui.json) ui.line(summaryJson(result));
}

interface Request {
  readonly source: Repository;
  readonly target: Repository;
  readonly ids: readonly string[];
  readonly filter: ReturnType<typeof snapshotFilter>;
}

async function copySnapshots(
  context: Context,
  engine: Engine,
  { source, target, ids, filter }: Request,
): Promise<CopyResult> {
  const { globals, signal, ui } = context;
  const named = ids.length === 0 ? undefined : await findNamed(context, source, engine, { ids, filter, signal });
  const nothing = { dataBlobs: 0, treeBlobs: 0, added: 0, stored: 0 };
  // Names without a snapshot are told, and do not mean all.
  if (named?.length === 0) return { copied: [], skipped: [], totals: nothing, problems: [] };
  using report = createPhaseReport(ui, {
    index: { counts: 'index files loaded' },
    trees: { counts: 'trees' },
    packs: { counts: 'packs copied' },
  });
  return await engine.copy(source, target, {
    ids: named?.map(({ id }) => id),
    filter,
    onBroken: (id, error) => tellIgnored(ui, id, error),
    lockSource: globals.lock,
    retryLockMs: globals.retryLockMs,
    signal,
    onSnapshot: (event) => (ui.json ? tellJson(ui, event) : tell(ui, event)),
    onProgress: (progress) => report.onProgress(progress),
  });
}

function tell(ui: Ui, event: CopyEvent): void {
  const { kind, source } = event;
  const id = source.id.slice(0, 8);
  switch (kind) {
    case 'skipped':
      ui.say(`\nsnapshot ${describeSnapshot(source)}`, 2);
      ui.say(`skipping source snapshot ${id}, was already copied to snapshot ${event.target.slice(0, 8)}`, 2);
      return;
    case 'started':
      ui.say(`\nsnapshot ${describeSnapshot(source)}`);
      ui.say('  copy started, this may take a while...');
      return;
    case 'found': {
      const { blobs, bytes, packs } = event.missing;
      ui.say(`  copy ${blobs} blobs with disk size ${formatBytes(bytes)} in ${packs} packfiles`, 2);
      return;
    }
    case 'copied':
      ui.say(`snapshot ${event.target.slice(0, 8)} saved, copied from source snapshot ${id}`);
  }
}

function tellJson(ui: Ui, event: CopyEvent): void {
  if (event.kind !== 'copied' && event.kind !== 'skipped') return;
  const { kind, source, target } = event;
  ui.line(JSON.stringify({ message_type: kind, source_snapshot_id: source.id, snapshot_id: target }));
}

function summaryJson({ copied, skipped, totals }: CopyResult): string {
  return JSON.stringify({
    message_type: 'summary',
    copied_snapshots: copied.length,
    skipped_snapshots: skipped.length,
    data_blobs: totals.dataBlobs,
    tree_blobs: totals.treeBlobs,
    data_added: totals.added,
    data_added_packed: totals.stored,
  });
}
