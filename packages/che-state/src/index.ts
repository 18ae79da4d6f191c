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
  Selection,
  WatchEvent,
  WatchOptions,
} from './cluster/cluster.ts';
export {
  BACKUP_SERVER_CONFIGURATION,
  CHE_CLUSTER_V1,
  CHE_CLUSTER_V2,
  CLUSTER_BACKUP,
  CLUSTER_RESTORE,
  NAMESPACE,
} from './objects/kinds.ts';
export type { Json, Kind, KubeObject, ObjectMeta, ObjectRef, OwnerReference } from './objects/object.ts';
export { apiVersionOf } from './objects/object.ts';
export { normalize } from './objects/strip.ts';
export { fromYaml, toYaml } from './objects/yaml.ts';
export type { FromYamlOptions } from './objects/yaml.ts';
// what belongs to a backup
export { collect } from './collect/collect.ts';
export type { CollectedObject, CollectOptions } from './collect/collect.ts';
export { clusterUidOf, findInstallation } from './collect/find-installation.ts';
export type { FindInstallationOptions, Infrastructure, Installation } from './collect/installation.ts';
// backups
export { backupState } from './state/backup.ts';
export type { BackupStateOptions, BackupStateProgress, BackupStateResult } from './state/backup.ts';
export { findState, hostOf, listStates } from './state/find.ts';
export type { FindStateOptions, ListStatesOptions, StateEntry } from './state/find.ts';
export { openState } from './state/open.ts';
export type { BackupInfo, BackupReason, DatabaseInfo, OperatorInfo } from './state/info.ts';
export type { SavedDatabase, SavedObject, SavedState } from './state/state.ts';
export { diffStates, liveState } from './state/diff.ts';
export type { StateDifference, StateSide } from './state/diff.ts';
export { diffObjects } from './state/diff-objects.ts';
export type { FieldChange } from './state/diff-objects.ts';
export { maskSecrets } from './state/mask.ts';
// where backups are kept
export { chooseConfiguration } from './server/choose.ts';
export type { ChooseOptions } from './server/choose.ts';
export type { BackupServer } from './server/connection.ts';
export { serverFromConfiguration } from './server/from-configuration.ts';
export type { ConfigurationOptions } from './server/from-configuration.ts';
export { serverFromUrl } from './server/from-url.ts';
export type { UrlCredentials } from './server/from-url.ts';
export { INTERNAL } from './server/internal-objects.ts';
export { ensureInternalServer } from './server/internal.ts';
export type { InternalServerOptions } from './server/internal.ts';
export { withServerRepository } from './server/repository.ts';
export type { ServerRepositoryOptions } from './server/repository.ts';
export { storeConfiguration } from './server/store.ts';
export type { StoreOptions } from './server/store.ts';
export { parseServerUrl } from './server/url.ts';
export type { Login, ParsedUrl } from './server/url.ts';
export type { RestAddress, S3Address, ServerAddress, SftpAddress } from './server/address.ts';
// databases
export { databasesOf } from './database/databases-of.ts';
export type { DatabasesOptions } from './database/databases-of.ts';
export type { StateDatabase } from './database/database.ts';
export type { TlsMode } from './database/network-client.ts';
// the Che operator's version
export { bringOperator } from './olm/bring.ts';
export type { BringOptions, BroughtOperator, OperatorProgress } from './olm/bring.ts';
export { approveInstallPlan, pendingInstallPlan } from './olm/install-plan.ts';
export type { PendingInstallPlan } from './olm/install-plan.ts';
export { operatorVersion } from './olm/operator.ts';
export { findSubscription } from './olm/subscription.ts';
export type { FindSubscriptionOptions, FoundSubscription } from './olm/subscription.ts';
// custom resources
export { readClusterBackup, REASON_LABEL, SCHEDULE_LABEL } from './resources/backup.ts';
export type { BackupStatus, BackupTarget, ClusterBackup } from './resources/backup.ts';
export type { Condition } from './resources/conditions.ts';
export { isFinished, readJobStatus } from './resources/job.ts';
export type { JobState, JobStatus } from './resources/job.ts';
export { readClusterRestore } from './resources/restore.ts';
export type { ClusterRestore, RestoreSpec, RestoreStatus } from './resources/restore.ts';
export { readBackupSchedule } from './resources/schedule.ts';
export type { BackupSchedule, ScheduleSpec, ScheduleStatus } from './resources/schedule.ts';
// restore
export { planRestore } from './restore/plan.ts';
export type { PlannedAction, PlannedObject, PlanProgress, PlanRestoreOptions, RestorePlan } from './restore/plan.ts';
export { restoreState } from './restore/restore.ts';
export type { RestoreResult, RestoreStateOptions } from './restore/restore.ts';
export type { FoundMismatch, Mismatch, RestoreTarget } from './restore/differences.ts';
export type { RestoredDatabase } from './restore/load-databases.ts';
export { RESTORE_STAGES } from './restore/order.ts';
export type { ObjectStage, RestoreStage } from './restore/order.ts';
export type { LeftDifference, RestoreProgress } from './restore/work.ts';
// the operator
export { runOperator } from './operator/run.ts';
export type { ElectionOptions, OperatorLog, OperatorOptions } from './operator/options.ts';
