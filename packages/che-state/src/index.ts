// clusters
export { connectCluster } from './cluster/connect.ts';
export type { ConnectOptions } from './cluster/connect.ts';
export type {
  ApplyOptions,
  Cluster,
  ClusterCall,
  ExecOptions,
  ListOptions,
  RemoveOptions,
  RunningCommand,
  WatchEvent,
  WatchOptions,
} from './cluster/cluster.ts';
export { apiVersionOf } from './objects/object.ts';
export type { Json, Kind, KubeObject, ObjectMeta, ObjectRef, OwnerReference } from './objects/object.ts';
