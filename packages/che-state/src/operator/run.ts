/** The operator: looks after backups, restores and schedules for as long as it is the leader. */
import { EngineError } from 'restic-engine';
import type { Cluster } from '../cluster/cluster.ts';
import { BACKUP_SCHEDULE, CHE_CLUSTER_V1, CHE_CLUSTER_V2, CLUSTER_BACKUP, CLUSTER_RESTORE } from '../objects/kinds.ts';
import type { Kind } from '../objects/object.ts';
import { reconcileBackup } from './backup.ts';
import type { OperatorContext, Reconcile, Tallies } from './context.ts';
import { codeOf, describe } from './failure.ts';
import { fenced } from './fenced.ts';
import { type HealthAnswers, serveHealth } from './health.ts';
import { type Leadership, runElected } from './lease.ts';
import { renderMetrics, Tally } from './metrics.ts';
import { describeOperator } from './numbers.ts';
import type { OperatorLog, OperatorOptions } from './options.ts';
import { type Outcome, WorkQueue } from './queue.ts';
import { reconcilePolicy } from './policy.ts';
import { reconcileRestore } from './restore.ts';
import { reconcileSchedule } from './schedule.ts';
import { scheduleOf } from './scheduled.ts';
import { ObjectStore } from './store.ts';
import { Turns } from './turns.ts';
import { reconcileUpdate } from './update.ts';

const LEASE_NAME = 'che-backup-operator';

/** What is known of the operator while it runs. */
interface Running {
  answered: boolean;
  leads: boolean;
  queue: WorkQueue | undefined;
  stores: readonly ObjectStore[];
}

/**
 * Runs the operator until `signal` fires, then ends what is being done, gives its Lease back and resolves. Several replicas
 * may run; one of them works.
 *
 * Rejects with `bad-request` when it is not known where the Lease is to be, `unsupported` when the cluster does not know
 * the custom resources, `io` when the port cannot be had.
 */
export async function runOperator(cluster: Cluster, options: OperatorOptions): Promise<void> {
  const { signal, healthPort, healthHost, election = {} } = options;
  const log = options.log ?? ((): void => undefined);
  const namespace = options.leaseNamespace ?? cluster.namespace ?? options.namespace;
  if (namespace === undefined)
    throw new EngineError(
      'bad-request',
      'it is not known in which namespace the Lease of the operator is: name a namespace, or set POD_NAMESPACE',
    );
  const running: Running = { answered: false, leads: false, queue: undefined, stores: [] };
  const tallies = newTallies();
  const health =
    healthPort === undefined ? undefined : await serveHealth(healthPort, healthHost, answersOf(running, tallies));
  if (health !== undefined) options.onListening?.(health.port);
  try {
    await refuseUnknownKinds(cluster, signal);
    await runElected(
      cluster,
      {
        namespace,
        name: election.lease ?? LEASE_NAME,
        identity: options.identity,
        durationMs: election.durationMs ?? 15_000,
        renewDeadlineMs: election.renewDeadlineMs ?? 10_000,
        retryMs: election.retryMs ?? 2000,
        signal,
        onFailure: (error) => logFailure(log, 'the Lease could not be had', error),
        onAnswer: () => (running.answered = true),
      },
      async (leadership) => {
        const message = `${options.identity} leads`;
        log({ level: 'info', message });
        running.leads = true;
        try {
          await lead(contextOf(cluster, options, leadership, log, tallies), options, running);
        } finally {
          running.leads = false;
          log({ level: 'info', message: `${message} no more` });
        }
      },
    );
  } finally {
    await health?.close();
  }
}

async function refuseUnknownKinds(cluster: Cluster, signal: AbortSignal): Promise<void> {
  for (const kind of [CLUSTER_BACKUP, CLUSTER_RESTORE, BACKUP_SCHEDULE]) {
    if (await cluster.serves(kind, { signal })) continue;
    throw new EngineError('unsupported', `the cluster does not know ${kind.plural}: apply the definitions first`);
  }
}

function newTallies(): Tallies {
  return {
    finished: new Tally(),
    retries: new Tally(),
    seconds: new Tally(),
    bytes: new Tally(),
    forgotten: new Tally(),
  };
}

function answersOf(running: Running, tallies: Tallies): HealthAnswers {
  return {
    isReady: () => running.answered && (!running.leads || running.stores.every(({ synced }) => synced)),
    metrics: () => {
      const { leads, queue, stores } = running;
      const objects = stores.flatMap((store) => store.objects());
      return renderMetrics(describeOperator({ leads, depth: queue?.depth ?? 0, objects, tallies }));
    },
  };
}

function contextOf(
  cluster: Cluster,
  options: OperatorOptions,
  leadership: Leadership,
  log: (entry: OperatorLog) => void,
  tallies: Tallies,
): OperatorContext {
  return {
    cluster: fenced(cluster, leadership),
    signal: leadership.signal,
    image: options.image,
    approveUpdates: options.approveUpdates ?? false,
    giveUpAfterMs: options.giveUpAfterMs ?? 2 * 3_600_000,
    takeOverAfterMs: options.takeOverAfterMs,
    serverPatienceMs: options.serverPatienceMs ?? 60_000,
    resyncMs: options.resyncMs ?? 60_000,
    now: options.now ?? (() => new Date()),
    log,
    turns: new Turns(),
    tallies,
  };
}

/** Policies of schedules, which are applied on their own: a server that is away keeps no backup from beginning. */
const POLICIES = 'policies';

const RECONCILERS: Readonly<Record<string, Reconcile>> = {
  [CLUSTER_BACKUP.plural]: reconcileBackup,
  [CLUSTER_RESTORE.plural]: reconcileRestore,
  [BACKUP_SCHEDULE.plural]: reconcileSchedule,
  [POLICIES]: reconcilePolicy,
  [CHE_CLUSTER_V2.plural]: reconcileUpdate,
};

const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 5 * 60_000;
/** How often everything is listed again, though a watch tells what changes. */
const RELIST_MS = 10 * 60_000;

async function lead(context: OperatorContext, options: OperatorOptions, running: Running): Promise<void> {
  const { cluster, signal, log } = context;
  const queue = new WorkQueue(options.backoff ?? { firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS });
  const cheCluster = (await cluster.serves(CHE_CLUSTER_V2, { signal })) ? CHE_CLUSTER_V2 : CHE_CLUSTER_V1;
  const stores = [CLUSTER_BACKUP, CLUSTER_RESTORE, BACKUP_SCHEDULE, cheCluster].map((kind) =>
    storeOf(context, kind, options.namespace, queue),
  );
  running.queue = queue;
  running.stores = stores;
  const work = async (key: string): Promise<Outcome> => {
    const [plural = '', namespace = '', name = ''] = key.split('/');
    try {
      return (await RECONCILERS[plural]?.(context, namespace, name)) ?? { again: 'no' };
    } catch (error) {
      if (!signal.aborted) logFailure(log, `${plural} ${name} in ${namespace}`, error);
      return { again: 'later' };
    }
  };
  await Promise.all([queue.run(work, signal), ...stores.map((store) => store.run())]);
}

function storeOf(
  { cluster, signal, log }: OperatorContext,
  kind: Kind,
  namespace: string | undefined,
  queue: WorkQueue,
): ObjectStore {
  return new ObjectStore({
    cluster,
    kind,
    namespace,
    resyncMs: RELIST_MS,
    signal,
    onChange: (object) => {
      const { metadata } = object;
      const home = metadata.namespace ?? '';
      queue.add(`${kind.plural}/${home}/${metadata.name}`);
      const schedule = kind === BACKUP_SCHEDULE ? metadata.name : scheduleOf(object);
      if (schedule === undefined) return;
      queue.add(`${BACKUP_SCHEDULE.plural}/${home}/${schedule}`);
      queue.add(`${POLICIES}/${home}/${schedule}`);
    },
    onFailure: (error) => logFailure(log, `${kind.plural} cannot be watched`, error),
  });
}

function logFailure(log: (entry: OperatorLog) => void, what: string, error: unknown): void {
  log({ level: 'error', message: `${what}: ${describe(error)}`, code: codeOf(error) });
}
