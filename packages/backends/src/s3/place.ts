/** Where a repository lies on a store that speaks S3, as restic writes it (restic manual, "Amazon S3"). */
import { EngineError } from '@restic-engine/repo-format';

/** A bucket of one server, and a folder in it. */
export interface S3Place {
  /** `https://host:port`; undefined for Amazon's own servers. */
  readonly endpoint: string | undefined;
  readonly bucket: string;
  /** Without slashes at its ends; '' for the whole bucket. */
  readonly prefix: string;
}

export const S3_EXAMPLE = 's3:https://host:9000/bucket/folder';

/** The name of Amazon's servers where no region is named. */
const AMAZON = 's3.amazonaws.com';

function wrong(why: string): EngineError {
  return new EngineError('bad-request', `s3: ${why}; a right location is ${S3_EXAMPLE} or s3:${AMAZON}/bucket/folder`);
}

/**
 * Reads what follows `s3:` — `host/bucket/folder`, `https://host:port/bucket/folder`, `//host/bucket/folder`, and
 * `//bucket/folder` for Amazon: after `//` a first part with a dot or a port, and `localhost`, is a host.
 * Throws `bad-request`; the message shows nothing of a location that is not understood.
 */
export function parsePlace(rest: string): S3Place {
  const scheme = /^https?:\/\//i.exec(rest)?.[0];
  const slashes = scheme ?? (rest.startsWith('//') ? '//' : '');
  const parts = rest.slice(slashes.length).split('/');
  const first = parts[0] ?? '';
  const namesBucket = slashes === '//' && first !== '' && !/[.:[]|^localhost$/i.test(first);
  const host = namesBucket ? AMAZON : first;
  const [bucket = '', ...folders] = namesBucket ? parts : parts.slice(1);
  return {
    endpoint: endpointOf(`${scheme?.toLowerCase() ?? 'https://'}${host}`, host),
    bucket: checkBucket(bucket),
    prefix: cleanPrefix(folders),
  };
}

function endpointOf(text: string, host: string): string | undefined {
  if (host.toLowerCase() === AMAZON && text.startsWith('https:')) return undefined;
  if (host === '') throw wrong('the host is missing');
  if (host.includes('@')) throw wrong('keys do not belong in a location but in the environment or a profile');
  if (!URL.canParse(text)) throw wrong('the host and port cannot be understood');
  const { origin, search, hash } = new URL(text);
  if (search !== '' || hash !== '') throw wrong('a host cannot have ? or # in it');
  return origin;
}

function checkBucket(bucket: string): string {
  if (bucket === '') throw wrong('the bucket is missing');
  // The names of tenants that Ceph puts before a bucket, and what old buckets may be called, are let through.
  if (!/^[\w.:-]{1,255}$/.test(bucket) || /^\.+$/.test(bucket)) {
    throw wrong('the name of a bucket has letters, digits, dots and hyphens only');
  }
  return bucket;
}

/** Empty parts, `.` and `..` go as they do from a path. */
function cleanPrefix(parts: readonly string[]): string {
  const clean: string[] = [];
  for (const part of parts) {
    if (part === '..') clean.pop();
    else if (part !== '' && part !== '.') clean.push(part);
  }
  return clean.join('/');
}

/** The place as a location; it never holds a secret. */
export function showPlace({ endpoint, bucket, prefix }: S3Place): string {
  const host = endpoint === undefined ? AMAZON : endpoint.replace(/^https:\/\//, '');
  return ['s3:' + host, bucket, prefix].filter((part) => part !== '').join('/');
}

const AMAZON_HOST = /^s3[.-](?:dualstack\.|fips[.-])?(?:([a-z0-9-]+)\.)?amazonaws\.com(?:\.cn)?$/;

/** The region that the name of one of Amazon's servers holds. */
export function regionOfEndpoint(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined;
  const region = AMAZON_HOST.exec(new URL(endpoint).hostname)?.[1];
  return region === undefined || region === 'external-1' || region === 'accelerate' ? undefined : region;
}

/** Amazon's server for a region. */
export function amazonEndpoint(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

/** Do this server's buckets have host names of their own? Those of Amazon, Google and Alibaba do. */
export function hasBucketHosts(endpoint: string | undefined, bucket: string): boolean {
  // A certificate for *.host does not hold for a name with more dots.
  if (bucket.includes('.') && endpoint?.startsWith('http:') !== true) return false;
  if (endpoint === undefined) return true;
  const { hostname } = new URL(endpoint);
  return AMAZON_HOST.test(hostname) || hostname === 'storage.googleapis.com' || hostname.endsWith('.aliyuncs.com');
}
