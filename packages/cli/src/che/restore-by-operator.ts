/** A restore that the operator in the cluster does. */
import { Incomplete } from '../failure.ts';
import { toJson } from '../render/json.ts';
import { bringVersion } from './bring-version.ts';
import { mayRestore } from './confirm.ts';
import type { CheContext } from './context.ts';
import { needKind, runByOperator } from './follow.ts';
import { FOLLOW_MS } from './operator-flags.ts';
import { tellStage } from './render/stages.ts';
import type { RestoreFlags } from './restore-flags.ts';
import { DIFFERS } from './restore-here.ts';
import { tellSummary, versionToBring } from './restore-job.ts';
import type { RestoreJob } from './restore-job.ts';
import { serverReference, serverToRead } from './server.ts';

/** As ever. */
const OBJECT_NAME = 'eclipse-che-restore';

export async function restoreByOperator(context: CheContext, job: RestoreJob): Promise<void> {
  const { signal, ui } = context;
  const { place, flags, source } = job;
  const { cluster, che, namespace } = place;
  await needKind(cluster, che.CLUSTER_RESTORE, signal);
  // What is wrong with the server must show before the operator is touched.
  const location = await locationOf(context, job);
  const wanted = versionToBring(job);
  tellSummary(context, job, summaryOf(job, location));
  if (!flags.dryRun && !(await mayRestore(context, flags.batch, namespace))) return;
  const reference =
    (await serverReference(context, place, source.server, 'restore-command')) ?? che.INTERNAL.configuration;
  if (wanted !== undefined && !flags.dryRun) await bringVersion(context, place, wanted, flags);
  const status = await runByOperator(cluster, che, {
    kind: che.CLUSTER_RESTORE,
    namespace,
    name: OBJECT_NAME,
    spec: { snapshotId: source.snapshot, backupServerConfigRef: reference, ...specOf(flags) },
    timeoutMs: flags.timeout ?? FOLLOW_MS,
    signal,
    onStage: (stage) => tellStage(ui, stage),
  });
  const { plan = {}, differences = [], safetySnapshotId } = che.readClusterRestore(status).status;
  if (ui.json) {
    const summary = { message_type: 'summary', namespace, safety_snapshot_id: safetySnapshotId };
    ui.line(toJson({ ...summary, objects: plan, differences }));
  } else {
    const { name } = ui.screen;
    if (safetySnapshotId !== undefined) ui.say(`snapshot ${safetySnapshotId.slice(0, 8)} has what was there before`);
    const counts = Object.entries(plan).map(([action, count]) => `${action} ${count}`);
    ui.print([
      ...differences.map(name),
      name([flags.dryRun ? 'planned' : 'restored', counts.join(', ')].filter(Boolean).join(': ')),
    ]);
  }
  if (differences.length > 0 && !flags.dryRun) {
    throw new Incomplete(DIFFERS, `${differences.length} objects are not as in the backup`);
  }
}

/** Who may not read the Secrets of the server can ask the operator all the same. */
async function locationOf(context: CheContext, { place, source }: RestoreJob): Promise<string> {
  const { EngineError } = await import('restic-engine');
  try {
    return (await serverToRead(context, place, source.server)).location;
  } catch (error) {
    if (!EngineError.is(error, 'denied')) throw error;
    return `not known (${error.message})`;
  }
}

function summaryOf({ source, current }: RestoreJob, location: string) {
  return {
    version: source.version ?? current ?? 'that of the backup',
    repository: location,
    snapshot: source.snapshot,
  };
}

function specOf(flags: RestoreFlags) {
  const { allow, only, domain, remove, recreate, dryRun, safetySnapshot, readyTimeout } = flags;
  return {
    ...(allow && { allow: [...new Set(allow)] }),
    ...(only && { only }),
    ...(domain && { domain }),
    ...(remove && { remove }),
    ...(recreate && { recreate }),
    ...(dryRun && { dryRun }),
    ...(safetySnapshot === false && { skipSafetySnapshot: true }),
    ...(flags.externalDatabase && { externalDatabases: true }),
    ...(flags.impersonateCreators && { impersonate: true }),
    ...(readyTimeout !== undefined && { readyTimeoutSeconds: Math.max(1, Math.ceil(readyTimeout / 1000)) }),
  };
}
