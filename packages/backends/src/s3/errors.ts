/** What a server that speaks S3 refuses, and why, as errors of the engine. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code, ErrorContext } from '@restic-engine/repo-format';
import type { HttpResponse } from '../http/client.ts';
import { retryAfterMs } from '../http/refusal.ts';

/** Amazon S3 API reference, "Error responses", and what Ceph, MinIO and others say beside that. */
const CODES = new Map<string, Code>([
  ['AccessDenied', 'denied'],
  ['AccountProblem', 'denied'],
  ['AllAccessDisabled', 'denied'],
  ['InvalidObjectState', 'denied'],
  ['MethodNotAllowed', 'denied'],
  ['NotSignedUp', 'denied'],
  ['UserSuspended', 'denied'],
  ['ExpiredToken', 'unauthorized'],
  ['InvalidAccessKeyId', 'unauthorized'],
  ['InvalidClientTokenId', 'unauthorized'],
  ['InvalidSecurity', 'unauthorized'],
  ['InvalidToken', 'unauthorized'],
  ['SignatureDoesNotMatch', 'unauthorized'],
  ['TokenRefreshRequired', 'unauthorized'],
  ['UnrecognizedClientException', 'unauthorized'],
  ['RequestExpired', 'clock-skew'],
  ['RequestTimeTooSkewed', 'clock-skew'],
  ['BucketAlreadyExists', 'already-exists'],
  ['NoSuchBucket', 'not-found'],
  ['NoSuchKey', 'not-found'],
  ['InvalidRange', 'out-of-range'],
  ['BandwidthLimitExceeded', 'throttled'],
  ['RequestLimitExceeded', 'throttled'],
  ['ServiceUnavailable', 'throttled'],
  ['SlowDown', 'throttled'],
  ['SlowDownRead', 'throttled'],
  ['SlowDownWrite', 'throttled'],
  ['Throttling', 'throttled'],
  ['ThrottlingException', 'throttled'],
  ['TooManyRequests', 'throttled'],
  ['TooManyRequestsException', 'throttled'],
  ['InsufficientStorage', 'no-space'],
  ['QuotaExceeded', 'no-space'],
  ['ServiceQuotaExceededException', 'no-space'],
  ['StorageLimitExceeded', 'no-space'],
  ['XMinioAdminBucketQuotaExceeded', 'no-space'],
  ['XMinioStorageFull', 'no-space'],
  ['EntityTooLarge', 'too-large'],
  ['NotImplemented', 'unsupported'],
  ['BadDigest', 'io'],
  ['ConditionalRequestConflict', 'io'],
  ['IncompleteBody', 'io'],
  ['InternalError', 'io'],
  ['OperationAborted', 'io'],
  ['RequestTimeout', 'io'],
  ['XAmzContentSHA256Mismatch', 'io'],
]);

const CODES_OF_STATUS = new Map<number, Code>([
  [401, 'unauthorized'],
  [403, 'denied'],
  [404, 'not-found'],
  [405, 'denied'],
  [408, 'io'],
  [409, 'io'],
  [413, 'too-large'],
  [416, 'out-of-range'],
  [429, 'throttled'],
  [501, 'unsupported'],
  [503, 'throttled'],
  [507, 'no-space'],
]);

const WORDS = new Map<string, string>([
  ['NoSuchBucket', 'there is no such bucket'],
  ['BucketAlreadyExists', 'it belongs to somebody else'],
  ['InvalidObjectState', 'it is archived and must be restored in the store before it can be read'],
  ['denied', 'the server refuses it to this user'],
  ['unauthorized', 'the server does not accept the keys'],
  ['clock-skew', "the clock of this machine and the server's are too far apart"],
  ['not-found', 'it does not exist'],
  ['out-of-range', 'it is shorter than expected'],
  ['throttled', 'the server asks for fewer requests'],
  ['no-space', 'the server has no space or quota left'],
  ['too-large', 'the server takes no uploads of this size'],
  ['bad-request', 'the server does not accept such a request'],
  ['unsupported', 'the server cannot do this'],
]);

/** An answer that is no success. Its `cause` and fields never reach a caller of the backend. */
export class S3Refusal extends Error {
  readonly status: number;
  /** Amazon's word for what is wrong, '' where the answer does not say. */
  readonly s3Code: string;
  /** The region or the server that would have been right, where the answer says. */
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(response: Pick<HttpResponse, 'status' | 'headers'>, body: string) {
    super('the server refuses the request');
    const { status, headers } = response;
    this.status = status;
    this.s3Code = element(body, 'Code') ?? '';
    this.region = word(headers['x-amz-bucket-region']) ?? element(body, 'Region');
    this.endpoint = element(body, 'Endpoint') ?? hostOf(headers['location']);
    this.retryAfterMs = retryAfterMs(headers);
  }

  get code(): Code {
    const known = CODES.get(this.s3Code) ?? CODES_OF_STATUS.get(this.status);
    if (known !== undefined) return known;
    return this.status >= 500 || this.status < 300 ? 'io' : 'bad-request';
  }

  /** Is it that the one file is not there, rather than its bucket? */
  get isMissingKey(): boolean {
    return this.code === 'not-found' && this.s3Code !== 'NoSuchBucket';
  }

  /** Amazon S3 user guide, "Object Lock considerations": uploads to such a bucket must have a Content-MD5. */
  get wantsMd5(): boolean {
    return this.status === 400 && ['InvalidRequest', 'MissingContentMD5', 'MissingDigest'].includes(this.s3Code);
  }

  /** May the request be for another region than it was signed for? */
  get isAboutRegion(): boolean {
    if (this.status === 301 || this.status === 307) return true;
    return this.status === 400 && (this.s3Code === '' || REGION_CODES.has(this.s3Code));
  }

  /** As an error of the engine: `what` was to be done to `file`. */
  toEngineError(what: string, file: string): EngineError {
    const { code, status, s3Code } = this;
    const context: Record<string, string | number> = { operation: what, file, status };
    if (s3Code !== '') context['s3Code'] = s3Code;
    if (this.retryAfterMs !== undefined) context['retryAfterMs'] = this.retryAfterMs;
    const words = this.#redirect() ?? WORDS.get(s3Code) ?? WORDS.get(code) ?? 'the server fails';
    const detail = s3Code === '' ? `HTTP ${status}` : `${s3Code}, HTTP ${status}`;
    return new EngineError(code, `${what} ${file}: ${words} (${detail})`, context);
  }

  #redirect(): string | undefined {
    if (this.status < 300 || this.status > 399) return undefined;
    return `the server sends requests on to ${this.endpoint ?? 'elsewhere'}, which is not followed`;
  }
}

const REGION_CODES: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'AuthorizationQueryParametersError',
  'IllegalLocationConstraintException',
  'InvalidRegion',
]);

/** The text of a simple element of an answer: only what can be no secret and no markup. */
function element(body: string, name: string): string | undefined {
  return word(new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1]);
}

function word(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w.:-]{1,128}$/.test(text) ? text : undefined;
}

function hostOf(location: string | undefined): string | undefined {
  return location !== undefined && URL.canParse(location) ? new URL(location).host : undefined;
}

/** Does an answer that claims success hold an error? Amazon S3 user guide: "a 200 OK response can contain … an error". */
export function holdsError(body: string): boolean {
  return /^\s*(?:<\?xml[^>]*\?>\s*)?<Error[\s>]/.test(body);
}

/** An error on its way through the SDK, which leaves marks on what it is handed. */
export class Passed extends Error {
  readonly error: EngineError;

  constructor(error: EngineError) {
    super(error.message);
    this.error = error;
  }
}

/** What the AWS SDK itself rejects with, when it is no refusal of the server. */
export function asEngineError(error: unknown, what: string, file: string): EngineError {
  if (error instanceof Passed) return error.error;
  if (EngineError.is(error)) return error;
  const name = error instanceof Error ? error.name : 'unknown';
  const context: ErrorContext = { operation: what, file, sdkError: name };
  if (isAboutKeys(error, name)) {
    const advice = 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE';
    return new EngineError(
      'unauthorized',
      `${what} ${file}: no keys for the store were found (${name}); ${advice}`,
      context,
    );
  }
  const message = `${what} ${file}: the answer is not that of an S3 server (${name})`;
  return new EngineError('corrupt', message, context);
}

/** The store's own refusals never get here: what else is one comes from a server that gives out keys. */
function isAboutKeys(error: unknown, name: string): boolean {
  if (/^(?:Credentials|Token)?ProviderError$/.test(name)) return true;
  return error instanceof Error && '$fault' in error;
}
