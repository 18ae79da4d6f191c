/**
 * One of several replicas is the leader: the holder of a Lease, as Kubernetes' own components elect theirs (client-go,
 * package leaderelection). Clocks of replicas are not compared: a Lease counts as abandoned when it has not changed for its
 * duration by the observer's own clock.
 */
import { EngineError } from 'restic-engine';
import type { Cluster } from '../cluster/cluster.ts';
import { wait } from '../cluster/wait.ts';
import { textAt } from '../objects/fields.ts';
import { LEASE } from '../objects/kinds.ts';
import { apiVersionOf, type KubeObject, type ObjectRef } from '../objects/object.ts';
import { numberAt } from '../resources/job.ts';

export interface Election {
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly durationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
  readonly signal: AbortSignal;
  /** An attempt that failed; the next one may succeed. */
  readonly onFailure: (error: unknown) => void;
  /** After each attempt that reached the API. */
  readonly onAnswer: () => void;
}

export interface Leadership {
  /** Fires when it is lost, or `signal` has fired. */
  readonly signal: AbortSignal;
  /** Can another be leader by now? */
  isOver(): boolean;
}

/**
 * Waits until this replica is elected, leads, and gives the Lease back; as often as it is lost, until `signal` fires.
 * What `lead` began must have ended when it resolves.
 */
export async function runElected(
  cluster: Cluster,
  election: Election,
  lead: (leadership: Leadership) => Promise<void>,
): Promise<void> {
  const candidate = new Candidate(cluster, election);
  while (!election.signal.aborted) {
    if (await candidate.attempt(election.signal)) await candidate.lead(lead);
    await pause(jittered(election.retryMs), election.signal);
  }
}

/** Replicas that were started together do not ask together for ever. */
const jittered = (ms: number): number => ms * (1 + Math.random() * 0.2);

class Candidate {
  readonly #cluster: Cluster;
  readonly #election: Election;
  readonly #ref: ObjectRef;
  #seen = '';
  #seenAt = 0;
  #renewedAt = 0;

  constructor(cluster: Cluster, election: Election) {
    this.#cluster = cluster;
    this.#election = election;
    this.#ref = { kind: LEASE, namespace: election.namespace, name: election.name };
  }

  /** True when the Lease is ours afterwards. */
  async attempt(signal: AbortSignal): Promise<boolean> {
    const { renewDeadlineMs, onFailure, onAnswer } = this.#election;
    // A call that hangs must not keep from trying again.
    const call = { signal: AbortSignal.any([signal, AbortSignal.timeout(renewDeadlineMs)]) };
    const before = performance.now();
    try {
      const lease = await this.#cluster.get(this.#ref, call);
      const held = await this.#take(lease, call);
      onAnswer();
      // The duration counts from before the Lease was written.
      if (held) this.#renewedAt = before;
      return held;
    } catch (error) {
      if (EngineError.is(error, 'conflict') || EngineError.is(error, 'already-exists')) return false;
      if (!signal.aborted) onFailure(error);
      return false;
    }
  }

  async #take(lease: KubeObject | undefined, call: { readonly signal: AbortSignal }): Promise<boolean> {
    const { identity, durationMs } = this.#election;
    if (lease === undefined) {
      await this.#cluster.create(LEASE, this.#object(undefined), call);
      return true;
    }
    const version = lease.metadata.resourceVersion ?? '';
    if (version !== this.#seen) [this.#seen, this.#seenAt] = [version, performance.now()];
    const holder = textAt(lease.spec, 'holderIdentity');
    const duration = (numberAt(lease.spec, 'leaseDurationSeconds') ?? 0) * 1000;
    const isOld = performance.now() >= this.#seenAt + Math.max(duration, durationMs);
    if (holder !== undefined && holder !== identity && !isOld) return false;
    const written = await this.#cluster.replace(LEASE, this.#object(lease), call);
    [this.#seen, this.#seenAt] = [written.metadata.resourceVersion ?? '', performance.now()];
    return true;
  }

  async lead(work: (leadership: Leadership) => Promise<void>): Promise<void> {
    const { durationMs, renewDeadlineMs, retryMs, signal } = this.#election;
    const lost = new AbortController();
    const done = new AbortController();
    const isOver = (): boolean => performance.now() >= this.#renewedAt + durationMs;
    const renew = async (): Promise<void> => {
      while (!done.signal.aborted) {
        await pause(retryMs, done.signal);
        if (done.signal.aborted || (await this.attempt(done.signal))) continue;
        if (done.signal.aborted) return;
        if (performance.now() >= this.#renewedAt + renewDeadlineMs || (await this.#isTaken())) {
          lost.abort(new EngineError('conflict', 'another replica is the leader'));
          return;
        }
      }
    };
    const renewing = renew();
    try {
      await work({ signal: AbortSignal.any([signal, lost.signal]), isOver });
    } finally {
      done.abort();
      await renewing;
      if (!lost.signal.aborted) await this.#release();
    }
  }

  /** Does somebody else hold what was ours? */
  async #isTaken(): Promise<boolean> {
    try {
      const lease = await this.#cluster.get(this.#ref, { signal: AbortSignal.timeout(this.#election.retryMs) });
      const holder = textAt(lease?.spec, 'holderIdentity');
      return holder !== undefined && holder !== this.#election.identity;
    } catch (error) {
      // Nobody knows; the deadline decides.
      this.#election.onFailure(error);
      return false;
    }
  }

  /** Others need not wait then. */
  async #release(): Promise<void> {
    try {
      const call = { signal: AbortSignal.timeout(this.#election.renewDeadlineMs) };
      const lease = await this.#cluster.get(this.#ref, call);
      if (lease === undefined || textAt(lease.spec, 'holderIdentity') !== this.#election.identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(new Date()) };
      await this.#cluster.replace(LEASE, { ...lease, spec }, call);
    } catch (error) {
      this.#election.onFailure(error);
    }
  }

  #object(before: KubeObject | undefined): KubeObject {
    const { namespace, name, identity, durationMs } = this.#election;
    const now = microTime(new Date());
    const mine = textAt(before?.spec, 'holderIdentity') === identity;
    const transitions = numberAt(before?.spec, 'leaseTransitions') ?? 0;
    const spec = {
      ...before?.spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1000)),
      acquireTime: (mine ? textAt(before?.spec, 'acquireTime') : undefined) ?? now,
      renewTime: now,
      leaseTransitions: before === undefined || mine ? transitions : transitions + 1,
    };
    const metadata = before?.metadata ?? { name, namespace };
    return { ...before, apiVersion: apiVersionOf(LEASE), kind: LEASE.kind, metadata, spec };
  }
}

/** Kubernetes' MicroTime. */
function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z');
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
