import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { BackupStateResult } from '@restic-engine/che-state';
import { documented, REPOSITORY_EXITS } from '../../manual/manual.ts';
import type { Manual } from '../../manual/manual.ts';
import { formatBytes, formatDuration } from '../../render/bytes.ts';
import { toJson } from '../../render/json.ts';
import { createTicker } from '../../render/ticker.ts';
import type { Ui } from '../../ui.ts';
import { findNamespace, withCluster } from '../cluster.ts';
import type { CheContext, CheStart } from '../context.ts';
import { needKind, runByOperator } from '../follow.ts';
import { addOperatorFlags, FOLLOW_MS } from '../operator-flags.ts';
import type { OperatorFlags } from '../operator-flags.ts';
import { tellStage } from '../render/stages.ts';
import { serverChoice, serverForBackup, serverReference, withRepositoryOf } from '../server.ts';
import type { Place } from '../server.ts';
import type { ServerChoice } from '../server-choice.ts';
import { addServerFlags } from '../server-flags.ts';
import type { ServerFlags } from '../server-flags.ts';

interface Flags extends ServerFlags, OperatorFlags {}

/** As ever. */
const OBJECT_NAME = 'eclipse-che-backup';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Back up to the server that is configured in the cluster', words: 'server:backup' },
    {
      purpose: 'Back up to a REST server, with passwords from files and the environment',
      words:
        'server:backup -r rest:https://backup.example:8000/che --repository-password-file ~/.che-password --username che',
    },
    {
      purpose: 'Let the operator back up to the server in the cluster',
      words: 'server:backup --internal-server --via-operator',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineServerBackup(program: CommandUnknownOpts, start: CheStart): CommandUnknownOpts {
  const command = documented(program.command('server:backup'), MANUAL).description(
    'Back up Eclipse Che to the backup server that flags or the environment name; else to the one that is configured in the cluster; else to the internal one. A repository is made where there is none. Rights to read in the cluster suffice, unless the operator does it.',
  );
  addServerFlags(command);
  addOperatorFlags(command);
  return command.action((flags: Flags) => serverBackup(start(), flags));
}

async function serverBackup(context: CheContext, flags: Flags): Promise<void> {
  const choice = serverChoice(context, flags);
  await withCluster(context, async (cluster, che) => {
    const namespace = await findNamespace(context, cluster, che);
    const place = { cluster, che, namespace };
    if (flags.viaOperator) await backupByOperator(context, place, choice, flags);
    else await backupHere(context, place, choice, flags);
  });
}

async function backupHere(context: CheContext, place: Place, choice: ServerChoice, flags: Flags): Promise<void> {
  const { signal, ui } = context;
  const { che, cluster, namespace } = place;
  const installation = await che.findInstallation(cluster, { namespace, signal });
  const databases = await che.databasesOf(cluster, installation, { external: flags.externalDatabase, signal });
  const server = await serverForBackup(context, place, choice, installation.flavor);
  ui.say(`backing up Eclipse Che ${installation.cheVersion ?? ''} in ${namespace} to ${server.location}`);
  const result = await withRepositoryOf(context, che, server, {
    create: true,
    async use(repository) {
      using ticker = createTicker<Counts>(ui.intervalMs, (counts, elapsedMs) => tellProgress(ui, counts, elapsedMs));
      const onProgress = ticker.update;
      return await che.backupState(repository, {
        cluster,
        installation,
        reason: 'manual',
        databases,
        signal,
        onProgress,
      });
    },
  });
  tellResult(ui, result);
}

interface Counts {
  readonly objectsDone: number;
  readonly bytesDone: number;
}

function tellProgress(ui: Ui, { objectsDone, bytesDone }: Counts, elapsedMs: number): void {
  const line = ui.json
    ? toJson({ message_type: 'status', objects_done: objectsDone, bytes_done: bytesDone })
    : `[${formatDuration(elapsedMs)}] ${objectsDone} objects ${formatBytes(bytesDone)}`;
  ui.status([line]);
}

function tellResult(ui: Ui, { snapshotId, info, objects, missing, summary }: BackupStateResult): void {
  const databases = info.databases ?? [];
  for (const { kind, name } of missing)
    ui.warn(`Warning: the CheCluster names a ${kind.kind} ${name}, which is not there`);
  const skipped = databases.filter(({ by }) => by === 'skipped').map(({ name }) => name);
  if (skipped.length > 0) {
    ui.say(`not backed up, for they run elsewhere (--external-database takes them too): ${skipped.join(', ')}`);
  }
  const added = Number(summary.dataAddedPacked ?? 0);
  if (ui.json) {
    ui.line(
      toJson({
        message_type: 'summary',
        snapshot_id: snapshotId,
        namespace: info.namespace,
        che_version: info.cheVersion,
        objects,
        databases,
        data_added_packed: added,
      }),
    );
    return;
  }
  ui.say(`${objects} objects, added to the repository: ${formatBytes(added)}`);
  ui.line(`snapshot ${snapshotId.slice(0, 8)} saved`);
}

async function backupByOperator(context: CheContext, place: Place, choice: ServerChoice, flags: Flags): Promise<void> {
  const { signal, ui } = context;
  const { che, cluster, namespace } = place;
  await needKind(cluster, che.CLUSTER_BACKUP, signal);
  const reference = await serverReference(context, place, choice, 'backup-command');
  const server = reference === undefined ? { useInternalBackupServer: true } : { backupServerConfigRef: reference };
  const done = await runByOperator(cluster, che, {
    kind: che.CLUSTER_BACKUP,
    namespace,
    name: OBJECT_NAME,
    spec: { ...server, ...(flags.externalDatabase && { externalDatabases: true }) },
    timeoutMs: flags.timeout ?? FOLLOW_MS,
    signal,
    onStage: (stage) => tellStage(ui, stage),
  });
  const { snapshotFullId, snapshotId = snapshotFullId?.slice(0, 8) ?? '', cheVersion } = che.readJobStatus(done);
  if (ui.json) {
    ui.line(
      toJson({
        message_type: 'summary',
        snapshot_id: snapshotFullId ?? snapshotId,
        namespace,
        che_version: cheVersion,
      }),
    );
  } else ui.line(`snapshot ${snapshotId} saved`);
}
