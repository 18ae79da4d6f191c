/**
 * The note of a restore that is under way: a ConfigMap in Che's namespace, there from before the first change until after
 * the last. Who finds it goes on where another left off. Writing it anew, always over the version one wrote last, proves
 * that nobody else has taken the restore over.
 */
import { randomUUID } from 'node:crypto';
import { EngineError } from 'restic-engine';
import type { Cluster } from '../cluster/cluster.ts';
import { wait } from '../cluster/wait.ts';
import { CONFIG_MAP } from '../objects/kinds.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import { RESTORE_STAGES, type RestoreStage } from './order.ts';

export const RECORD_NAME = 'che-restore-progress';
const LABEL = ['app.kubernetes.io/part-of', 'backup.che.eclipse.org'] as const;

/** What the note says. */
export interface RestoreRecord {
  readonly snapshotId: string;
  /** What was asked for, as text: a restore goes on only as it has begun. */
  readonly request: string;
  /** Of the target, '' when it is not known. */
  readonly domain: string;
  /** '' while there is none. */
  readonly safetySnapshotId: string;
  /** uid of the CheCluster that is to be deleted first; '' for none. */
  readonly replacedUid: string;
  /** Databases that are loaded already. */
  readonly loaded: readonly string[];
  readonly stage: RestoreStage;
  /** RFC 3339. */
  readonly startedAt: string;
}

export interface HeldRecord {
  /** Was there one already? */
  readonly resumed: boolean;
  /** Fires when somebody else has taken the restore over. */
  readonly lost: AbortSignal;
  current(): RestoreRecord;
  /** Rejects with `conflict` when the note is not ours any more. */
  update(changes: Partial<RestoreRecord>): Promise<void>;
  /** Leaves the note to whoever goes on. */
  release(): Promise<void>;
  /** The restore is complete. */
  finish(): Promise<void>;
}

export interface ClaimOptions {
  readonly namespace: string;
  /** What is noted when there is none yet. */
  readonly record: RestoreRecord;
  /** A note on which nothing happens for this long belongs to a dead one, in milliseconds. */
  readonly takeOverAfterMs: number;
  readonly signal: AbortSignal | undefined;
}

const refOf = (namespace: string): ObjectRef => ({ kind: CONFIG_MAP, namespace, name: RECORD_NAME });

export interface NotedRestore {
  readonly namespace: string;
  readonly record: RestoreRecord;
}

/** A restore into `namespace`, or anywhere, that is not complete. Who may not look everywhere sees the nearest namespace. */
export async function findRecord(
  cluster: Cluster,
  namespace: string | undefined,
  nearest: string,
  signal: AbortSignal | undefined,
): Promise<NotedRestore | undefined> {
  if (namespace === undefined) {
    try {
      const fieldSelector = `metadata.name=${RECORD_NAME}`;
      for await (const found of cluster.list(CONFIG_MAP, { fieldSelector, labelSelector: LABEL.join('='), signal })) {
        if (found.metadata.namespace !== undefined)
          return { namespace: found.metadata.namespace, record: parse(found) };
      }
      return undefined;
    } catch (error) {
      if (!EngineError.is(error, 'denied')) throw error;
    }
  }
  const found = await cluster.get(refOf(namespace ?? nearest), { signal });
  return found === undefined ? undefined : { namespace: namespace ?? nearest, record: parse(found) };
}

/** Rejects with `conflict` when another restore is under way, or this one by somebody else. */
export async function claimRecord(cluster: Cluster, options: ClaimOptions): Promise<HeldRecord> {
  const { namespace, record, signal } = options;
  const found = await cluster.get(refOf(namespace), { signal });
  const holder = randomUUID();
  if (found === undefined) {
    const created = await cluster.create(CONFIG_MAP, objectOf(namespace, record, holder, 0), { signal }).catch(taken);
    return hold(cluster, options, created, holder, false);
  }
  const before = parse(found);
  if (before.snapshotId !== record.snapshotId || before.request !== record.request) throw otherRestore(options, before);
  if (found.data?.['holder'] !== '') await dead(cluster, found, options);
  const claimed = { ...objectOf(namespace, before, holder, 0), metadata: found.metadata };
  return hold(cluster, options, await cluster.replace(CONFIG_MAP, claimed, { signal }).catch(taken), holder, true);
}

/** Resolves when nobody works on the restore any more. */
async function dead(cluster: Cluster, found: KubeObject, { namespace, takeOverAfterMs, signal }: ClaimOptions) {
  await wait(takeOverAfterMs, signal);
  const later = await cluster.get(refOf(namespace), { signal });
  if (later?.metadata.resourceVersion !== found.metadata.resourceVersion) throw running();
}

function hold(
  cluster: Cluster,
  { namespace, takeOverAfterMs }: ClaimOptions,
  claimed: KubeObject,
  holder: string,
  resumed: boolean,
): HeldRecord {
  const lost = new AbortController();
  const state = { object: claimed, record: parse(claimed), beat: 0, last: Promise.resolve() };
  const write = async (changes: Partial<RestoreRecord>, by: string): Promise<void> => {
    const record = { ...state.record, ...changes };
    const next = { ...objectOf(namespace, record, by, ++state.beat), metadata: state.object.metadata };
    try {
      state.object = await cluster.replace(CONFIG_MAP, next);
      state.record = record;
    } catch (error) {
      if (!EngineError.is(error, 'conflict') && !EngineError.is(error, 'not-found')) throw error;
      const taken = takenOver(error);
      lost.abort(taken);
      throw taken;
    }
  };
  const inTurn = (changes: Partial<RestoreRecord>, by: string): Promise<void> => {
    const turn = state.last.then(() => write(changes, by));
    state.last = turn.catch(() => undefined);
    return turn;
  };
  // A beat that fails for another reason is made up for by the next one, or by a step that fails for the same reason.
  const beats = setInterval(() => void inTurn({}, holder).catch(() => undefined), takeOverAfterMs / 3);
  beats.unref();
  const stop = (): Promise<void> => {
    clearInterval(beats);
    return state.last;
  };
  return {
    resumed,
    lost: lost.signal,
    current: () => state.record,
    update: (changes) => inTurn(changes, holder),
    async release() {
      await stop();
      if (!lost.signal.aborted) await inTurn({}, '');
    },
    async finish() {
      await stop();
      await cluster.remove(refOf(namespace), { uid: state.object.metadata.uid });
    },
  };
}

function objectOf(namespace: string, record: RestoreRecord, holder: string, beat: number): KubeObject {
  const { loaded, ...texts } = record;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: RECORD_NAME, namespace, labels: { [LABEL[0]]: LABEL[1] } },
    data: { ...texts, loaded: JSON.stringify(loaded), holder, beat: String(beat) },
  };
}

function parse({ data = {} }: KubeObject): RestoreRecord {
  return {
    snapshotId: data['snapshotId'] ?? '',
    request: data['request'] ?? '',
    domain: data['domain'] ?? '',
    safetySnapshotId: data['safetySnapshotId'] ?? '',
    replacedUid: data['replacedUid'] ?? '',
    loaded: namesIn(data['loaded']),
    stage: stageIn(data['stage']),
    startedAt: data['startedAt'] ?? '',
  };
}

/** What people have written into it counts as nothing. */
function namesIn(text: string | undefined): readonly string[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  } catch {
    return [];
  }
}

const stageIn = (text: string | undefined): RestoreStage =>
  RESTORE_STAGES.find((stage) => stage === text) ?? 'download';

function otherRestore({ namespace }: ClaimOptions, { snapshotId, stage }: RestoreRecord): EngineError {
  return new EngineError(
    'conflict',
    `another restore of this installation is unfinished: complete it first, with the same snapshot and options, or give it up by deleting the ConfigMap ${RECORD_NAME}`,
    { namespace, snapshotId, stage },
  );
}

const running = (): EngineError => new EngineError('conflict', 'this restore is under way already, by another process');

const takenOver = (cause: unknown): EngineError =>
  new EngineError('conflict', 'another process has taken this restore over', {}, { cause });

/** Somebody was faster. */
function taken(error: unknown): never {
  throw EngineError.is(error, 'conflict') || EngineError.is(error, 'already-exists') ? running() : error;
}
