/** A backup as it is in a snapshot, whichever program made it. */
import type { SnapshotEntry } from 'restic-engine';
import type { ClusterCall } from '../cluster/cluster.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import type { BackupInfo } from './info.ts';

/** One object in a backup; its content is read when it is asked for. */
export interface SavedObject {
  readonly ref: ObjectRef;
  /** Where it is in the snapshot, such as `secrets/che-tls.yaml`. */
  readonly path: string;
  /** Bytes of its YAML. */
  readonly size: number;
  /** Equal for equal content: the ids of its blobs. */
  readonly fingerprint: string;
}

export interface SavedDatabase {
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

export interface SavedState {
  readonly snapshot: SnapshotEntry;
  readonly info: BackupInfo;
  /** In the order in which they are applied, the CheCluster among them. Kilobytes each thousand, whatever they contain. */
  readonly objects: readonly SavedObject[];
  readonly databases: readonly SavedDatabase[];
  /** Decrypts and parses one object; `corrupt` for what is no object of the kind and name its path says. */
  read(object: SavedObject, call?: ClusterCall): Promise<KubeObject>;
  /** The plain SQL of a dump, in pieces. */
  readDatabase(database: SavedDatabase, call?: ClusterCall): AsyncIterable<Uint8Array>;
}
