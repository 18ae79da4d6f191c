export { EngineError, CODES, abortedError, throwIfAborted } from './errors.ts';
export type { Code, ErrorContext } from './errors.ts';
export type {
  Backend,
  BackendTraits,
  ByteRange,
  CachedBackend,
  Call,
  FileHandle,
  FileType,
  ListedFile,
  RepositoryCache,
} from './backend.ts';
export { ID_BYTES, isId, parseId, shortId } from './id.ts';
export type { Id } from './id.ts';
export { fileMode, permissionBits, toStMode } from './tree/mode.ts';
export type { ExtendedAttribute, Node, NodeType, Timestamp, Uint64 } from './tree/node.ts';
export { compareNames, pathFromBytes, pathToBytes } from './tree/path-bytes.ts';
export { encodeNode } from './tree/encode-node.ts';
export { decodeTree, encodeTree, isStable, joinTree } from './tree/tree.ts';
export type { DecodeTreeOptions } from './tree/tree.ts';
export { encodeJsonString, GO_1_19, GO_1_21, quoteGo, unquoteGo } from './json/go-string.ts';
export type { GoProfile } from './json/go-string.ts';
export { dateFromDays, DAY_SECONDS, daysFromDate, weekday } from './time/calendar.ts';
export type { CalendarDate } from './time/calendar.ts';
export { compareTimestamps, formatTimestamp, parseTimestamp } from './time/timestamp.ts';
export type { Instant } from './time/timestamp.ts';
export { parseTzif, UTC, zoneFiles } from './time/zone.ts';
export type { TimeZone } from './time/zone.ts';
export { decodeSnapshot, encodeSnapshot } from './snapshot.ts';
export type { Snapshot, SnapshotSummary } from './snapshot.ts';
export { decodeMasterKey, encodeMasterKey, generateMasterKey } from './crypto/master-key.ts';
export type { MasterKey } from './crypto/master-key.ts';
export { nodePrimitives, sha256, sha256Stream } from './crypto/node-primitives.ts';
export type { Primitives, ScryptParams, Sha256Stream } from './crypto/primitives.ts';
export { createSealer, SEAL_OVERHEAD } from './crypto/seal.ts';
export type { Sealer } from './crypto/seal.ts';
export { createKeyFile, decodeKeyFile, openKeyFile } from './keys/key-file.ts';
export type { CreateKeyFileOptions, KeyFile, OpenKeyFileOptions } from './keys/key-file.ts';
export { calibrateScrypt } from './keys/scrypt-params.ts';
export type { CalibrateOptions } from './keys/scrypt-params.ts';
export { storeFrame } from './compress/store-frame.ts';
export { compress, decompress, decompressUnknown } from './compress/zstd.ts';
export type { Compression } from './compress/zstd.ts';
export {
  DEFAULT_PACK_SIZE,
  MAX_HEADER_ENTRIES,
  MAX_PACK_SIZE,
  MIN_PACK_SIZE,
  entryBytes,
  packFileSize,
  plainLengthOf,
} from './pack/entry.ts';
export type { BlobType, PackEntry } from './pack/entry.ts';
export { encodePackHeader, readPackHeader } from './pack/header.ts';
export { createBlobCodec } from './blob.ts';
export type { BlobCodec, BlobCodecOptions, Room, SealedBlob } from './blob.ts';
export { decodeIndex, encodeIndex, encodeMarks } from './index-file/index-file.ts';
export type { IndexSink } from './index-file/index-file.ts';
export type { IndexMarks, LockHolder, LockRecord, MarkedPack } from './index-file/marks.ts';
export { openUnpacked, sealUnpacked } from './unpacked.ts';
export { decodeConfig, encodeConfig } from './config.ts';
export type { Config } from './config.ts';
export { decodeLock, encodeLock, isStale } from './lock.ts';
export type { Lock, StaleFacts } from './lock.ts';
