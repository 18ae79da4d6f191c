/** What a run has done, for those who are told of it afterwards: hooks and metrics. */
import type { Figure } from './metrics/figures.ts';

export interface Outcome {
  /** Full ids of the snapshots that were made. */
  readonly snapshots: string[];
  readonly figures: Figure[];
}
