// places
export { extendedOptions, isLocalLocation, locationBelow, openBackend } from './location.ts';
export type { ExtendedOption, OpenBackendOptions } from './location.ts';
export type { Environment } from './scheme.ts';
export { bandwidth } from './bandwidth.ts';
export type { Bandwidth, BandwidthOptions } from './bandwidth.ts';
export type { HttpOptions } from './http/options.ts';
export { localBackend } from './local/backend.ts';
export type { LocalOptions } from './local/backend.ts';
export { restBackend } from './rest/open.ts';
export type { RestOptions } from './rest/open.ts';
export { s3Backend } from './s3/open.ts';
export type { S3Credentials, S3Options } from './s3/open.ts';
export { sftpBackend } from './sftp/open.ts';
export type { SftpOptions } from './sftp/options.ts';
export { memoryBackend } from './memory.ts';
export type { MemoryOptions } from './memory.ts';
// wrappers
export { wrap } from './wrap/wrap.ts';
export type { Wrapper } from './wrap/wrap.ts';
export { withBandwidth } from './wrap/bandwidth.ts';
export { withLimit } from './wrap/limit.ts';
export { BACKEND_CHANNEL, withObserve } from './wrap/observe.ts';
export type { BackendEvent } from './wrap/observe.ts';
export { withReadonly } from './wrap/readonly.ts';
export { withRetry } from './wrap/retry.ts';
export type { Retry, RetryOptions } from './wrap/backoff.ts';
export type { Time } from './wrap/time.ts';
export { withFaults } from './wrap/faults.ts';
export type { Crash, Effect, Fault, FaultCall, FaultPlan } from './wrap/faults.ts';
// the local cache
export { diskCache } from './cache/disk-cache.ts';
export type { DiskCacheOptions } from './cache/disk-cache.ts';
export { cacheSize, defaultCacheFolder, listCaches, oldCaches, removeCache } from './cache/folder.ts';
export type { CacheEntry } from './cache/folder.ts';
// for other backends
export { checkBackend } from './check-backend.ts';
export type { CheckBackendOptions, BackendVerdict } from './check-backend.ts';
export { filePath, folderOf, repositoryFolders } from './layout.ts';
