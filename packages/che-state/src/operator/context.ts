/** What all reconcilers work with. */
import type { Cluster } from '../cluster/cluster.ts';
import type { KubeObject } from '../objects/object.ts';
import { codeOf, describe } from './failure.ts';
import { type EventFacts, recordEvent } from './events.ts';
import type { Tally } from './metrics.ts';
import type { OperatorLog } from './options.ts';
import type { Outcome } from './queue.ts';
import type { Turns } from './turns.ts';

export interface OperatorContext {
  /** Changes nothing any more when the leadership is over. */
  readonly cluster: Cluster;
  /** Fires when the operator stops or another one is the leader. */
  readonly signal: AbortSignal;
  readonly image: string | undefined;
  readonly approveUpdates: boolean;
  readonly giveUpAfterMs: number;
  readonly takeOverAfterMs: number | undefined;
  readonly serverPatienceMs: number;
  readonly resyncMs: number;
  readonly now: () => Date;
  readonly log: (entry: OperatorLog) => void;
  /** One backup or restore of an installation at a time, by namespace. */
  readonly turns: Turns;
  readonly tallies: Tallies;
}

export interface Tallies {
  /** Jobs that ended, by kind, namespace and result. */
  readonly finished: Tally;
  /** Errors that may pass. */
  readonly retries: Tally;
  /** How long jobs took, in seconds. */
  readonly seconds: Tally;
  /** New in repositories, in bytes. */
  readonly bytes: Tally;
  /** Snapshots that schedules removed. */
  readonly forgotten: Tally;
}

/** Brings one object nearer to what it is to be. Rejects with what is tried again, after a while. */
export type Reconcile = (context: OperatorContext, namespace: string, name: string) => Promise<Outcome>;

export const DONE: Outcome = { again: 'no' };

/** Tells of an object in its Events and in the log. Nothing depends on it. */
export async function tell(context: OperatorContext, about: KubeObject, facts: EventFacts): Promise<void> {
  const { cluster, signal, log, now } = context;
  const { name, namespace } = about.metadata;
  const level = facts.type === 'Normal' ? 'info' : 'warning';
  log({ level, message: `${facts.reason}: ${facts.message}`, kind: about.kind, namespace, name });
  try {
    await recordEvent(cluster, about, facts, now(), { signal });
  } catch (error) {
    if (signal.aborted) return;
    const message = `an Event could not be recorded: ${describe(error)}`;
    log({ level: 'warning', message, kind: about.kind, namespace, name, code: codeOf(error) });
  }
}
