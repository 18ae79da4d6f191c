/** What the steps of a restore share. */
import type { Cluster } from '../cluster/cluster.ts';
import type { ObjectRef } from '../objects/object.ts';
import type { SavedState } from '../state/state.ts';
import type { Move } from './adapt.ts';
import type { RestoreStage } from './order.ts';
import type { RestorePlan } from './plan.ts';
import type { HeldRecord } from './record.ts';

/** Cumulative. */
export interface RestoreProgress {
  readonly stage: RestoreStage;
  /** Objects of the backup that are as they are to be, or that the API has refused. */
  readonly objectsDone: number;
  readonly objectsTotal: number;
  readonly removed: number;
  readonly databasesDone: number;
  readonly databasesTotal: number;
  /** Of dumps. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** In what the cluster is not what the backup says, after a restore. */
export interface LeftDifference {
  /** In the target. */
  readonly ref: ObjectRef;
  /** `missing`: it is not there. `extra`: it is there still. `different`: its `fields` are. */
  readonly problem: 'missing' | 'extra' | 'different';
  /** Names of fields, such as `spec.started`: never what they contain. */
  readonly fields: readonly string[];
  /** Why, where the API said so. */
  readonly reason: string | undefined;
}

/** A restore that is under way. */
export interface RestoreWork {
  readonly cluster: Cluster;
  readonly state: SavedState;
  readonly plan: RestorePlan;
  readonly move: Move;
  readonly record: HeldRecord;
  readonly impersonate: boolean;
  /** For each thing that is waited for. */
  readonly readyTimeoutMs: number;
  readonly signal: AbortSignal;
  readonly progress: { -readonly [Name in keyof RestoreProgress]: RestoreProgress[Name] };
  /** Tells the progress. */
  tell(): void;
  /** Why objects could not be made what they are in the backup, by `keyOf`. */
  readonly reasons: Map<string, string>;
  readonly counts: { created: number; changed: number; removed: number };
}
