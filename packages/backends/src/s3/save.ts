import { createHash } from 'node:crypto';
import type { PutObjectCommand } from '@aws-sdk/client-s3';
import type { FileHandle } from '@restic-engine/repo-format';
import { Segments } from './handler.ts';

/** Amazon S3 user guide, "Storage classes": what is in these cannot be read before it is restored. */
const ARCHIVES: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

/** The storage class of a file: all that is needed to find one's way through a repository stays readable. */
export function storageClassOf(file: FileHandle, configured: string | undefined): string | undefined {
  if (configured === undefined || (file.type !== 'data' && ARCHIVES.has(configured))) return undefined;
  return configured;
}

/**
 * The SHA-256 of a file, which is its name but for the config. The server compares it with what arrives, so that neither
 * damage on the way nor a file under a wrong name gets stored.
 */
export function sha256Of(file: FileHandle, segments: readonly Uint8Array[]): string {
  return file.type === 'config' ? hashOf('sha256', segments).toString('hex') : file.name;
}

export function hashOf(algorithm: 'sha256' | 'md5', segments: readonly Uint8Array[]): Buffer {
  const hash = createHash(algorithm);
  for (const segment of segments) hash.update(segment);
  return hash.digest();
}

/** How the body of an upload is described to the server. */
export interface Description {
  /** {@link sha256Of}. */
  readonly hash: string;
  readonly storageClass: string | undefined;
  /** Base64. */
  readonly md5: string | undefined;
}

/** Makes `command` send `segments` in one body, without reading or copying them. */
export function attach(command: PutObjectCommand, segments: readonly Uint8Array[], description: Description): void {
  const length = segments.reduce((sum, segment) => sum + segment.length, 0);
  const { hash, storageClass, md5 } = description;
  command.middlewareStack.add(
    (next) => (args) => {
      if (isRequest(args.request)) {
        const { headers } = args.request;
        headers['content-length'] = String(length);
        headers['x-amz-content-sha256'] = hash;
        if (md5 !== undefined) headers['content-md5'] = md5;
        // The SDK's own parameter takes the classes only that Amazon had when it was made.
        if (storageClass !== undefined) headers['x-amz-storage-class'] = storageClass;
        args.request.body = new Segments(segments);
      }
      return next(args);
    },
    { step: 'build', name: 'attachSegments' },
  );
}

function isRequest(value: unknown): value is { headers: Record<string, string>; body: unknown } {
  return typeof value === 'object' && value !== null && 'headers' in value;
}
