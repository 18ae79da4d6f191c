import { EngineError } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import type { Bandwidth } from '../bandwidth.ts';
import type { HttpOptions } from '../http/options.ts';
import type { Environment } from '../scheme.ts';

/** What signs requests. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
  /** They are asked for again shortly before. */
  readonly expiration?: Date;
}

/** A repository on a server that speaks S3, and how to reach it. */
export interface S3Options {
  readonly bucket: string;
  /** The folder in the bucket, `a/b`. Default: the whole bucket. */
  readonly prefix?: string;
  /** `https://host:port`. Default: Amazon's server of the region. */
  readonly endpoint?: string;
  /** The region requests are signed for. Default: the one in the name of Amazon's server, or the one the server says. */
  readonly region?: string;
  /** Is the bucket a part of the host's name (`dns`) or of the path? Default `auto`: as restic decides. */
  readonly bucketLookup?: 'auto' | 'dns' | 'path';
  /** The storage class of new files, `STANDARD_IA`. Archives (`GLACIER`, `DEEP_ARCHIVE`) get packs only. */
  readonly storageClass?: string;
  /** Lists with the older of the two requests, for old servers. Default false. */
  readonly listObjectsV1?: boolean;
  /**
   * Keys, where to get them from, or `anonymous` for requests that are not signed. Default: what the AWS SDK finds
   * (environment of the process, profile, SSO, web identity, container, instance).
   */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>) | 'anonymous';
  /** The profile in the AWS configuration files that the AWS SDK uses. Default: `AWS_PROFILE`, or `default`. */
  readonly profile?: string;
  /** Files worth reading or writing at once. Default 5, as in restic. */
  readonly connections?: number;
  readonly http?: HttpOptions;
  /** A line that is shared with other backends, see {@link bandwidth}. */
  readonly bandwidth?: Bandwidth | undefined;
  /** Where proxies are named (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`). Default: the environment of this process. */
  readonly env?: Environment;
}

/**
 * A repository in a bucket of Amazon S3 or any server that speaks the same. The server is not spoken to before a method
 * is called. The caller disposes of the backend, which closes its connections.
 *
 * Needs the package `@aws-sdk/client-s3`: rejects with `unsupported` where it is not installed, and with `bad-request`
 * where the endpoint, a certificate or a proxy is wrong.
 */
export async function s3Backend(options: S3Options): Promise<Backend> {
  const [{ openS3 }, sdk] = await Promise.all([import('./backend.ts'), loadSdk()]);
  return openS3(sdk, options);
}

/** The part of the AWS SDK that is used. */
export type Sdk = typeof import('@aws-sdk/client-s3');

async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (error) {
    if (!isMissing(error)) throw error;
    const message = 's3: locations need the AWS SDK, which is not installed: npm install @aws-sdk/client-s3';
    throw new EngineError('unsupported', message, { module: '@aws-sdk/client-s3' }, { cause: error });
  }
}

/** Is it the package itself that is missing, rather than one that it needs? */
function isMissing(error: unknown): boolean {
  const notFound = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
  return notFound && error.message.includes("'@aws-sdk/client-s3'");
}
