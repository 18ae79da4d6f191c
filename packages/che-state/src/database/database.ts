/** A database of an installation, wherever it runs. */
import type { ClusterCall } from '../cluster/cluster.ts';
import type { DatabaseInfo } from '../state/info.ts';

export interface StateDatabase extends DatabaseInfo {
  /**
   * The plain SQL of a dump, in pieces. Whoever stops reading early ends the dump.
   *
   * Rejects with `database` when the dump fails or breaks off, which shows at its end only: what was read before is worth
   * nothing then. Further `not-found` (no pod that runs), `unauthorized`, `unsupported` (no program that could dump),
   * `bad-request` for one that is skipped, `io`.
   */
  dump(call?: ClusterCall): AsyncIterable<Uint8Array>;
  /**
   * Puts the content of a whole dump in the database's place. Until all of it is loaded the database stays as it was, and
   * it stays so when loading fails; then users are disconnected and it is exchanged.
   *
   * Rejects with `database` when a statement fails or the dump breaks off, and as {@link dump} does.
   */
  load(dump: AsyncIterable<Uint8Array>, call?: ClusterCall): Promise<void>;
}
