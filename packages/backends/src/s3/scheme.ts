import { EngineError } from '@restic-engine/repo-format';
import { belowFolder, connectionsOption } from '../scheme.ts';
import type { Environment, Scheme } from '../scheme.ts';
import { s3Backend } from './open.ts';
import type { S3Credentials, S3Options } from './open.ts';
import { parsePlace, S3_EXAMPLE } from './place.ts';

const LOOKUPS = ['auto', 'dns', 'path'] as const;

/** `s3:https://host:9000/bucket/folder` and its relatives. */
export const S3_SCHEME: Scheme = {
  example: S3_EXAMPLE,
  options: [
    { name: 'bucket-lookup', description: "where the bucket's name goes: 'auto', 'dns' or 'path' (default: auto)" },
    { name: 'connections', description: 'files to read or write at once (default: 5)' },
    { name: 'enable-restore', description: 'not supported: restore archived objects before they are needed' },
    { name: 'layout', description: "only 'default' is supported" },
    { name: 'list-objects-v1', description: 'list with the older request, for old servers (default: false)' },
    { name: 'region', description: 'region of the bucket (default: what the environment or the server says)' },
    { name: 'restore-days', description: 'not used, see enable-restore' },
    { name: 'restore-tier', description: 'not used, see enable-restore' },
    { name: 'restore-timeout', description: 'not used, see enable-restore' },
    { name: 'retries', description: 'not used: what fails is repeated as for every other backend' },
    { name: 'storage-class', description: 'storage class of new files; archive classes are used for packs only' },
    { name: 'unsafe-anonymous-auth', description: 'do not sign requests (default: false)' },
  ],
  async open(rest, { options, env, http, bandwidth }) {
    refuseUnsupported(options, env);
    const { endpoint, bucket, prefix } = parsePlace(rest);
    const region = options.get('region') || env['AWS_DEFAULT_REGION'] || env['AWS_REGION'];
    const credentials = flag(options, 'unsafe-anonymous-auth') ? 'anonymous' : credentialsOf(env);
    const storageClass = options.get('storage-class');
    const profile = env['AWS_PROFILE'];
    const place: S3Options = {
      bucket,
      prefix,
      ...(endpoint !== undefined && { endpoint }),
      ...(region && { region }),
      ...(storageClass && { storageClass }),
      ...(credentials !== undefined && { credentials }),
      ...(profile && { profile }),
      bucketLookup: lookup(options),
      listObjectsV1: flag(options, 'list-objects-v1'),
      connections: connectionsOption(options, 's3', 5),
      http,
      bandwidth,
      env,
    };
    return s3Backend(place);
  },
  below: belowFolder,
};

function refuseUnsupported(options: ReadonlyMap<string, string>, env: Environment): void {
  if (flag(options, 'enable-restore')) {
    const message = 's3.enable-restore is not supported: restore archived packs before they are needed';
    throw new EngineError('unsupported', message, { option: 's3.enable-restore' });
  }
  const layout = options.get('layout') ?? 'default';
  if (layout !== 'default' && layout !== '') {
    throw new EngineError('unsupported', 's3.layout must be default: there is no other any more', {
      option: 's3.layout',
    });
  }
  if (env['RESTIC_AWS_ASSUME_ROLE_ARN']) {
    const message =
      'RESTIC_AWS_ASSUME_ROLE_ARN is not supported: name the role in a profile (role_arn) and set AWS_PROFILE';
    throw new EngineError('unsupported', message, { variable: 'RESTIC_AWS_ASSUME_ROLE_ARN' });
  }
}

function lookup(options: ReadonlyMap<string, string>): 'auto' | 'dns' | 'path' {
  const text = options.get('bucket-lookup') || 'auto';
  const found = LOOKUPS.find((each) => each === text);
  if (found === undefined) throw new EngineError('bad-request', 's3.bucket-lookup must be auto, dns or path');
  return found;
}

/** As Go's strconv.ParseBool reads them. */
const FLAGS = new Map<string, boolean>([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False', ''].map((word) => [word, false] as const),
]);

function flag(options: ReadonlyMap<string, string>, name: string): boolean {
  const value = FLAGS.get(options.get(name) ?? '');
  if (value === undefined) throw new EngineError('bad-request', `s3.${name} must be true or false`);
  return value;
}

/** The names of a pair of keys in the environment, those of MinIO last: restic manual, "Minio Server". */
const PAIRS = [
  ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
  ['MINIO_ACCESS_KEY', 'MINIO_SECRET_KEY'],
  ['MINIO_ROOT_USER', 'MINIO_ROOT_PASSWORD'],
] as const;

function credentialsOf(env: Environment): S3Credentials | undefined {
  for (const [idName, secretName] of PAIRS) {
    const accessKeyId = env[idName] || undefined;
    const secretAccessKey = env[secretName] || undefined;
    if (accessKeyId !== undefined && secretAccessKey !== undefined) {
      const sessionToken = idName === 'AWS_ACCESS_KEY_ID' ? env['AWS_SESSION_TOKEN'] : undefined;
      return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
    }
    if (accessKeyId === undefined && secretAccessKey === undefined) continue;
    const [there, missing] = accessKeyId === undefined ? [secretName, idName] : [idName, secretName];
    throw new EngineError('bad-request', `the environment has ${there} but not ${missing}`, { missing });
  }
  return undefined;
}
