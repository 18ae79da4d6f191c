/** Work that an operator does: a custom resource that is made, and followed until it has come to an end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, Json, Kind, KubeObject, ObjectRef } from '@restic-engine/che-state';
import { Fatal } from '../failure.ts';
import type { CheState } from './cluster.ts';
import type { Stage } from './render/stages.ts';

/** How often is looked, in ms. */
const INTERVAL_MS = 1000;
/** An operator that is there has begun after this time. */
const BEGIN_MS = 60_000;

export interface FollowOptions {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly spec: { readonly [field: string]: Json | undefined };
  /** For all of it. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Told of each stage, and of what keeps it from going on. */
  readonly onStage: (stage: Stage) => void;
}

/** Throws where there are no such custom resources. */
export async function needKind(cluster: Cluster, kind: Kind, signal: AbortSignal): Promise<void> {
  if (await cluster.serves(kind, { signal })) return;
  throw new Fatal(`the cluster does not know the kind ${kind.kind}: the operator of che-backup is not installed`);
}

/**
 * Makes the object, in the place of one of that name, and resolves with it when it has succeeded. An object that
 * fails, that nobody takes up, that is gone or replaced by another one, or that takes too long is an error.
 */
export async function runByOperator(
  cluster: Cluster,
  che: CheState,
  { kind, namespace, name, spec, timeoutMs, signal, onStage }: FollowOptions,
): Promise<KubeObject> {
  const ref: ObjectRef = { kind, namespace, name };
  const deadline = Date.now() + timeoutMs;
  await removePrevious(cluster, ref, deadline, signal);
  const made = await cluster.create(
    kind,
    { apiVersion: che.apiVersionOf(kind), kind: kind.kind, metadata: { name, namespace }, spec },
    { signal },
  );
  const begun = Math.min(deadline, Date.now() + BEGIN_MS);
  let last = '';
  for (;;) {
    const object = await cluster.get(ref, { signal });
    if (object === undefined || object.metadata.uid !== made.metadata.uid) throw gone(ref);
    const { state, stage = '', message = '' } = che.readJobStatus(object);
    if (state === 'Succeeded') return object;
    if (state === 'Failed') throw failed(ref, { stage, message });
    const now = Date.now();
    if (state === undefined && now >= begun) throw ignored(ref);
    if (now >= deadline) throw tooLong(ref, stage, timeoutMs);
    const told = JSON.stringify([stage, message]);
    if (state !== undefined && told !== last) onStage({ stage, message });
    last = told;
    await sleep(INTERVAL_MS, undefined, { signal });
  }
}

/** Finalizers may hold it for a while. */
async function removePrevious(cluster: Cluster, ref: ObjectRef, deadline: number, signal: AbortSignal): Promise<void> {
  if (!(await cluster.remove(ref, { signal }))) return;
  while ((await cluster.get(ref, { signal })) !== undefined) {
    if (Date.now() >= deadline) throw new Fatal(`the ${ref.kind.kind} ${ref.name} of before does not go away`);
    await sleep(INTERVAL_MS, undefined, { signal });
  }
}

function gone(ref: ObjectRef): Fatal {
  return new Fatal(`${named(ref)} is gone: somebody has deleted it while it was worked on`);
}

function failed(ref: ObjectRef, { stage, message }: Stage): Fatal {
  const where = stage === '' ? '' : ` (${stage})`;
  return new Fatal(`${named(ref)} has failed${where}: ${message.replace(/^Error: /, '') || 'it does not say why'}`);
}

function ignored(ref: ObjectRef): Fatal {
  return new Fatal(
    `nobody takes up ${named(ref)}: does the operator of che-backup run? It begins when that does, unless you delete it`,
  );
}

function tooLong(ref: ObjectRef, stage: string, timeoutMs: number): Fatal {
  const where = stage === '' ? '' : `, it is at: ${stage}`;
  return new Fatal(
    `${named(ref)} has not ended in ${Math.round(timeoutMs / 1000)} s${where}; the operator goes on with it`,
  );
}

function named({ kind, name }: ObjectRef): string {
  return `the ${kind.kind} ${name}`;
}
