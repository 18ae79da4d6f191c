import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { HttpClient } from '../http/client.ts';
import { asEngineError, S3Refusal } from './errors.ts';
import { SharedHandler } from './handler.ts';
import type { CallOptions } from './handler.ts';
import type { S3Options, Sdk } from './open.ts';
import { amazonEndpoint, hasBucketHosts, regionOfEndpoint } from './place.ts';

/** Where every S3 server starts, and what those without regions accept. */
const FIRST_REGION = 'us-east-1';

/** Clients sign for one region; this is the one in use. */
interface Signing {
  readonly region: string;
  readonly client: S3Client;
}

async function outcome<T>(work: Promise<T>, what: string, file: string): Promise<T | S3Refusal> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof S3Refusal) return error;
    throw asEngineError(error, what, file);
  }
}

/** Sends requests of the AWS SDK, signed for the region that the server wants. */
export class Connection {
  readonly sdk: Sdk;
  readonly #options: S3Options;
  readonly #handler: SharedHandler;
  readonly #http: HttpClient;
  #signing: Signing;

  constructor(sdk: Sdk, options: S3Options, http: HttpClient) {
    this.sdk = sdk;
    this.#options = options;
    this.#http = http;
    this.#handler = new SharedHandler(http);
    this.#signing = this.#signFor(options.region ?? regionOfEndpoint(options.endpoint) ?? FIRST_REGION);
  }

  /**
   * Runs `work`, which is called once more where the server names another region. Resolves with the refusal of the
   * server, if there is one, and rejects with an error of the engine; `what` was to be done to `file`.
   */
  async send<T>(what: string, file: string, work: (client: S3Client) => Promise<T>): Promise<T | S3Refusal> {
    const used = this.#signing;
    const answer = await outcome(work(used.client), what, file);
    if (!(answer instanceof S3Refusal && answer.isAboutRegion)) return answer;
    const better = await this.#better(used, answer);
    return better === undefined ? answer : outcome(work(better.client), what, file);
  }

  async close(): Promise<void> {
    this.#signing.client.destroy();
    await this.#http[Symbol.asyncDispose]();
  }

  /** Signs for the region that a refusal names, or, where the caller named none either, for the one the server tells. */
  async #better(used: Signing, refusal: S3Refusal): Promise<Signing | undefined> {
    if (this.#signing !== used) return this.#signing;
    const asked = this.#options.region === undefined ? () => this.#ask(used) : async () => undefined;
    const region = refusal.region ?? (await asked());
    if (region === undefined || region === used.region || !/^[\w-]+$/.test(region)) return undefined;
    this.#signing = this.#signFor(region);
    return this.#signing;
  }

  async #ask({ client }: Signing): Promise<string | undefined> {
    const { bucket: Bucket } = this.#options;
    const command = new this.sdk.GetBucketLocationCommand({ Bucket });
    const ask: CallOptions = { signal: undefined };
    const answer = await outcome(client.send(command, ask), 'look for', `bucket ${Bucket}`);
    if (answer instanceof S3Refusal) return answer.region;
    // Amazon S3 API reference, "GetBucketLocation": the first region has no name there, and Ireland an old one.
    const { LocationConstraint: location = FIRST_REGION } = answer;
    return location === 'EU' ? 'eu-west-1' : location;
  }

  #signFor(region: string): Signing {
    const { endpoint, bucket, bucketLookup = 'auto', profile } = this.#options;
    const hosts = bucketLookup === 'auto' ? hasBucketHosts(endpoint, bucket) : bucketLookup === 'dns';
    const client = new this.sdk.S3Client({
      region,
      endpoint: endpoint ?? amazonEndpoint(region),
      forcePathStyle: !hosts,
      ...(profile !== undefined && { profile }),
      ...this.#identity(),
      ...FIXED,
      requestHandler: this.#handler,
    });
    return { region, client };
  }

  #identity(): Pick<S3ClientConfig, 'credentials' | 'signer'> {
    const { credentials } = this.#options;
    if (credentials === undefined) return {};
    if (credentials !== 'anonymous') return { credentials };
    return {
      credentials: { accessKeyId: 'anonymous', secretAccessKey: 'anonymous' },
      signer: { sign: async (request) => request },
    };
  }
}

/** What must not depend on the files and variables that the SDK reads where it is not told. */
const FIXED = {
  // What fails is repeated by a wrapper, for all backends alike.
  maxAttempts: 1,
  retryMode: 'standard',
  // A wrong clock is the user's to correct: the times of snapshots depend on it.
  disableClockSkewCorrection: true,
  // Older servers refuse other checksums than the signed SHA-256.
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
  defaultsMode: 'standard',
  disableS3ExpressSessionAuth: true,
  expectContinueHeader: false,
  useArnRegion: false,
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
} as const satisfies S3ClientConfig;
