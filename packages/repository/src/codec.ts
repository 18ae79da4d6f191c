/** The blob codec of a repository in any thread: a plain description goes over the line, the codec is made once there. */
import { createBlobCodec, createSealer } from '@restic-engine/repo-format';
import type { BlobCodec, Compression, MasterKey } from '@restic-engine/repo-format';

/** All that sealing and opening blobs needs. Holds the master key: never print it, never store it. */
export interface CodecSpec {
  /** Tells specifications of one process apart. */
  readonly serial: number;
  readonly key: MasterKey;
  readonly version: 1 | 2;
  readonly compression: Compression;
  /** Open again what was sealed, before it is stored. */
  readonly verify: boolean;
}

const CACHED = 8;
const codecs = new Map<number, BlobCodec>();

/** The codec for `spec`, made at the first call in each thread. */
export function codecFor(spec: CodecSpec): BlobCodec {
  const known = codecs.get(spec.serial);
  if (known !== undefined) return known;
  const codec = createBlobCodec({
    sealer: createSealer(spec.key),
    version: spec.version,
    compression: spec.compression,
    verify: spec.verify,
  });
  for (const oldest of codecs.keys()) {
    if (codecs.size < CACHED) break;
    codecs.delete(oldest);
  }
  codecs.set(spec.serial, codec);
  return codec;
}
