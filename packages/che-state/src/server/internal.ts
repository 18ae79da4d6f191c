/** The backup server inside of the cluster, for who has no other: it outlives Che, though not the cluster. */
import { Buffer } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import {
  BACKUP_SERVER_CONFIGURATION,
  DEPLOYMENT,
  SECURITY_CONTEXT_CONSTRAINTS,
  SERVICE,
  VOLUME_CLAIM,
} from '../objects/kinds.ts';
import type { Kind, KubeObject, ObjectRef } from '../objects/object.ts';
import {
  claimSpec,
  configurationSpec,
  deployment,
  HTPASSWD,
  INTERNAL,
  labelsOf,
  SERVICE_SPEC,
} from './internal-objects.ts';
import { objectOf, put, secretData, secretRef } from './put.ts';
import { KEYS, secretReader } from './secrets.ts';

export interface InternalServerOptions extends ClusterCall {
  /** One that has `restic-engine`. */
  readonly image: string;
  /** Names the installation in labels. @default 'che' */
  readonly flavor?: string | undefined;
  /** Of a new volume, as Kubernetes writes quantities. @default '10Gi' */
  readonly storage?: string | undefined;
  /** Of a new volume. @default the cluster's */
  readonly storageClass?: string | undefined;
  /** Milliseconds that the server has to get ready. @default 5 minutes */
  readonly readyTimeoutMs?: number | undefined;
}

/**
 * Sees to it that the internal backup server is there and ready, and resolves to the name of its configuration. What is
 * there is kept, its passwords above all; only how it runs is brought up to date.
 *
 * Rejects with `timeout` when it does not get ready, `bad-request` where the Secret with the repository's password is
 * there without one (a new one would lose the backups), and what the cluster says.
 */
export async function ensureInternalServer(
  cluster: Cluster,
  namespace: string,
  options: InternalServerOptions,
): Promise<string> {
  const { image, flavor = 'che', storage = '10Gi', storageClass, readyTimeoutMs = 5 * 60_000, signal } = options;
  const call = { signal };
  const labels = labelsOf(flavor);
  await ensurePassword(cluster, namespace, labels, call);
  await ensureLogin(cluster, namespace, labels, call);
  const ref = (kind: Kind, name: string): ObjectRef => ({ kind, namespace, name });
  const claim = ref(VOLUME_CLAIM, INTERNAL.data);
  const newClaim = { spec: claimSpec(storage, storageClass) };
  await put(cluster, claim, (existing) => existing ?? objectOf(claim, undefined, labels, newClaim), call);
  const service = ref(SERVICE, INTERNAL.service);
  await put(
    cluster,
    service,
    (existing) => objectOf(service, existing, labels, { spec: { ...existing?.spec, ...SERVICE_SPEC } }),
    call,
  );
  const openShift = await cluster.serves(SECURITY_CONTEXT_CONSTRAINTS, call);
  await cluster.apply(DEPLOYMENT, deployment({ namespace, flavor, image, openShift }), call);
  const configuration = ref(BACKUP_SERVER_CONFIGURATION, INTERNAL.configuration);
  const spec = configurationSpec(namespace);
  await put(cluster, configuration, (existing) => objectOf(configuration, existing, labels, { spec }), call);
  await waitUntilReady(cluster, ref(DEPLOYMENT, INTERNAL.deployment), readyTimeoutMs, signal);
  return INTERNAL.configuration;
}

async function ensurePassword(
  cluster: Cluster,
  namespace: string,
  labels: Readonly<Record<string, string>>,
  call: ClusterCall,
): Promise<void> {
  const ref = secretRef(namespace, INTERNAL.password);
  const data = secretData({ [KEYS.password]: randomText() });
  await put(cluster, ref, (existing) => existing ?? objectOf(ref, undefined, labels, { data }), call);
  await secretReader(cluster, namespace, call).password(ref.name);
}

/** Who the server admits. Backups do not depend on it, so one that is not whole is made anew. */
async function ensureLogin(
  cluster: Cluster,
  namespace: string,
  labels: Readonly<Record<string, string>>,
  call: ClusterCall,
): Promise<void> {
  const ref = secretRef(namespace, INTERNAL.login);
  const password = randomText();
  // Salt and slowness protect what people think up; nobody guesses 256 random bits.
  const hash = createHash('sha1').update(password).digest('base64');
  const texts = {
    [KEYS.username]: INTERNAL.user,
    [KEYS.userPassword]: password,
    [HTPASSWD]: `${INTERNAL.user}:{SHA}${hash}\n`,
  };
  const data = secretData(texts);
  const isWhole = (object: KubeObject): boolean => Object.keys(texts).every((key) => (object.data?.[key] ?? '') !== '');
  await put(
    cluster,
    ref,
    (existing) => (existing !== undefined && isWhole(existing) ? existing : objectOf(ref, existing, labels, { data })),
    call,
  );
}

function randomText(): string {
  return Buffer.from(randomBytes(32)).toString('base64url');
}

async function waitUntilReady(
  cluster: Cluster,
  ref: ObjectRef,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const object = await cluster.get(ref, { signal });
    if (object !== undefined && isReady(object)) return;
    if (Date.now() >= deadline) {
      const message = `the internal backup server is not ready after ${Math.round(timeoutMs / 1000)} s: look at the Deployment ${ref.name}`;
      throw new EngineError('timeout', message, { deployment: ref.name, timeoutMs });
    }
    await pause(Math.min(1000, Math.max(1, deadline - Date.now())), signal);
  }
}

function isReady({ metadata, status }: KubeObject): boolean {
  const { observedGeneration, updatedReplicas, availableReplicas } = status ?? {};
  const current = typeof observedGeneration === 'number' && observedGeneration >= (metadata.generation ?? 0);
  return current && updatedReplicas === 1 && availableReplicas === 1;
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new EngineError('aborted', 'the operation was aborted', {}, { cause: signal.reason });
  }
}
