/** A restore that the command itself does. */
import type { Mismatch, RestorePlan, RestoreResult, SavedState } from '@restic-engine/che-state';
import type { Repository } from 'restic-engine';
import { Incomplete, UsageError } from '../failure.ts';
import { toJson } from '../render/json.ts';
import { formatLocalTime } from '../render/time.ts';
import type { Ui } from '../ui.ts';
import { bringVersion } from './bring-version.ts';
import { mayRestore } from './confirm.ts';
import type { CheContext } from './context.ts';
import { tellPlan } from './render/plan.ts';
import { refText } from './render/ref.ts';
import { createStageReport } from './render/stages.ts';
import { latestOf, tellSummary, versionToBring } from './restore-job.ts';
import type { RestoreJob } from './restore-job.ts';
import { serverToRead, withRepositoryOf } from './server.ts';

/** Exit status of a restore after which something is not as in the backup. */
export const DIFFERS = 3;

export async function restoreHere(context: CheContext, job: RestoreJob): Promise<void> {
  const { che } = job.place;
  const server = await serverToRead(context, job.place, job.source.server);
  await withRepositoryOf(context, che, server, {
    async use(repository) {
      const state = await che.openState(repository, job.source.snapshot, await latestOf(context, job));
      await restoreFrom(context, job, { repository, state, location: server.location });
    },
  });
}

interface Opened {
  readonly repository: Repository;
  readonly state: SavedState;
  readonly location: string;
}

async function restoreFrom(context: CheContext, job: RestoreJob, opened: Opened): Promise<void> {
  const { ui } = context;
  const { flags } = job;
  const { snapshot, info } = opened.state;
  const wanted = versionToBring(job);
  const allow = flags.allow ?? [];
  if (!allow.includes('version')) refuseOtherVersion(wanted, info.cheVersion);
  // What may be wrong with the backup or its server must show before the operator is touched.
  const plan = await planned(context, job, opened, wanted === undefined ? allow : [...allow, 'version']);
  // With --quiet and nobody to be asked, nobody reads it.
  if (ui.verbosity > 0 || flags.dryRun || !flags.batch) {
    tellSummary(context, job, {
      version: wanted ?? info.cheVersion,
      repository: opened.location,
      snapshot: ui.json ? snapshot.id : `${snapshot.id.slice(0, 8)} of ${formatLocalTime(snapshot.time)}`,
    });
    tellPlan(ui, plan, { each: flags.dryRun === true });
  }
  if (flags.dryRun || !(await mayRestore(context, flags.batch, plan.target.namespace))) return;
  if (wanted !== undefined) await bringVersion(context, job.place, wanted, flags);
  const current = wanted === undefined ? plan : await planned(context, job, opened, allow);
  tellResult(ui, await apply(context, job, opened.repository, current));
}

function refuseOtherVersion(wanted: string | undefined, found: string): void {
  if (wanted === undefined || wanted === found) return;
  throw new UsageError(`the backup is of version ${found}, not ${wanted} (--allow version)`);
}

async function planned(
  { signal }: CheContext,
  { place, flags }: RestoreJob,
  { state }: Opened,
  allow: readonly Mismatch[],
): Promise<RestorePlan> {
  const { EngineError } = await import('restic-engine');
  const { cluster, che, namespace } = place;
  const { domain, only, remove, recreate } = flags;
  try {
    return await che.planRestore({ cluster, state, namespace, domain, allow, only, remove, recreate, signal });
  } catch (error) {
    if (!EngineError.is(error, 'mismatch')) throw error;
    const differences = Object.entries(error.context).map(([what, values]) => `\n  ${what}: ${String(values)}`);
    const hint = `\nrestore it all the same with --allow ${Object.keys(error.context).join(',')}`;
    throw new UsageError(`${error.message}${differences.join('')}${hint}`);
  }
}

async function apply(
  { signal, ui }: CheContext,
  { place, flags }: RestoreJob,
  repository: Repository,
  plan: RestorePlan,
): Promise<RestoreResult> {
  const { cluster, che } = place;
  using report = createStageReport(ui);
  return await che.restoreState({
    cluster,
    repository,
    plan,
    safety: flags.safetySnapshot,
    databases: (installation) => che.databasesOf(cluster, installation, { external: flags.externalDatabase, signal }),
    readyTimeoutMs: flags.readyTimeout,
    impersonate: flags.impersonateCreators,
    signal,
    onProgress: report.onProgress,
  });
}

function tellResult(ui: Ui, result: RestoreResult): void {
  const { snapshotId, safetySnapshotId, applied, removed, databases, differences } = result;
  if (ui.json) {
    for (const { ref, problem, fields, reason } of differences) {
      const { kind, namespace, name } = ref;
      ui.line(toJson({ message_type: 'difference', kind: kind.kind, namespace, name, problem, fields, reason }));
    }
    ui.line(
      toJson({
        message_type: 'summary',
        snapshot_id: snapshotId,
        safety_snapshot_id: safetySnapshotId,
        resumed: result.resumed,
        objects_applied: applied,
        objects_removed: removed,
        databases,
        differences: differences.length,
      }),
    );
  } else {
    const { name } = ui.screen;
    if (safetySnapshotId !== undefined) ui.say(`snapshot ${safetySnapshotId.slice(0, 8)} has what was there before`);
    ui.print([
      ...differences.map(({ ref, problem, fields, reason }) =>
        name([`${problem}: ${refText(ref)}`, fields.join(', '), reason ?? ''].filter(Boolean).join(': ')),
      ),
      ...databases.flatMap((one) =>
        one.loaded ? [] : [name(`not loaded: database ${one.name}: ${one.reason ?? ''}`)],
      ),
      `restored: ${applied} objects created or changed, ${removed} removed, ${databases.filter(({ loaded }) => loaded).length} databases loaded`,
    ]);
  }
  if (differences.length > 0) throw new Incomplete(DIFFERS, `${differences.length} objects are not as in the backup`);
  if (!databases.every(({ loaded }) => loaded)) throw new Incomplete(DIFFERS, 'not every database is as in the backup');
}
