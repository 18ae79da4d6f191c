import type { Backend } from '@restic-engine/repo-format';

/** Decides whether a user may come in; called for every request. Rejecting answers 500. */
export type Authenticate = (user: string, password: string) => boolean | Promise<boolean>;

/** One request, told when it is over. */
export interface RequestRecord {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  /** '' where nobody logged in. */
  readonly user: string;
  /** `''` or `alice/photos`; undefined when the path names none. */
  readonly repository: string | undefined;
  readonly status: number;
  /** Bytes of the answer's body that were handed to the client's connection. */
  readonly bytesSent: number;
  readonly durationMs: number;
  /** The client's network address, where there is one. */
  readonly remote: string | undefined;
  readonly userAgent: string | undefined;
  readonly referrer: string | undefined;
  /** What went wrong, for the operator; clients are told a status only. */
  readonly error: unknown;
}

/** Where the repositories are. */
export interface Places {
  /** The one repository that is served, at the root of the server. It stays the caller's. */
  readonly backend?: Backend;
  /**
   * Gives the repository at a path of at most two folders: `''`, `alice`, `alice/photos`. The names in it are no `.` or
   * `..` and hold no slash, backslash, colon or control character. The server keeps what it is given while it is in
   * use, and disposes of it.
   */
  open?(repository: string): Backend | Promise<Backend>;
}

export interface RestServerOptions extends Places {
  /** `false`: everybody may do everything. Passwords travel in the clear without TLS. */
  readonly authenticate: Authenticate | false;
  /** Files can be added and read, but only locks removed. Default false. */
  readonly appendOnly?: boolean;
  /** A user sees only repositories whose first folder is the user's name. Default false. */
  readonly privateRepositories?: boolean;
  /** Bytes that may be stored in all repositories together. Default: no limit. */
  readonly maxSize?: number;
  /** Tells the bytes stored already, once, for `maxSize`. Default: what the lists of `backend` add up to. */
  readonly storedBytes?: () => Promise<number>;
  /** Serves `/metrics`, to `open` for everybody. Default false. */
  readonly metrics?: boolean | 'open';
  /** Refuses files whose content has not the SHA-256 that is their name. Default true. */
  readonly verifyUploads?: boolean;
  /** Bytes of the largest file that is taken. Default 256 MiB; sound packs have less than 140. */
  readonly largestUpload?: number;
  /**
   * Bytes of uploads held in memory at once, and of downloads. Requests beyond it wait, at most `stallMs`. Default
   * 256 MiB each, or `largestUpload` if that is more.
   */
  readonly memory?: number;
  /** Milliseconds without progress in a request's or answer's body, after which the client is dropped. Default 60,000. */
  readonly stallMs?: number;
  /** Told of every request when it is over. Must not throw. */
  readonly onRequest?: (record: RequestRecord) => void;
}

const MIB = 2 ** 20;
const DEFAULT_BYTES = 256 * MIB;
const DEFAULTS = {
  appendOnly: false,
  privateRepositories: false,
  metrics: false,
  verifyUploads: true,
  largestUpload: DEFAULT_BYTES,
  stallMs: 60_000,
} as const;

type Defaulted =
  | 'appendOnly'
  | 'privateRepositories'
  | 'metrics'
  | 'verifyUploads'
  | 'largestUpload'
  | 'memory'
  | 'stallMs';

/** {@link RestServerOptions} with every default in its place. */
export type Settings = RestServerOptions & Required<Pick<RestServerOptions, Defaulted>>;

/** Checks the options and fills in the defaults. Throws `TypeError` or `RangeError` for mistakes of the program. */
export function resolveOptions(options: RestServerOptions): Settings {
  const settings = { ...DEFAULTS, ...options };
  const { backend, open, authenticate, largestUpload, maxSize, stallMs, storedBytes } = settings;
  const memory = options.memory ?? Math.max(DEFAULT_BYTES, largestUpload);
  if ((backend === undefined) === (open === undefined)) throw new TypeError('give either a backend or open()');
  if (settings.privateRepositories && authenticate === false) {
    throw new TypeError('private repositories need users: give authenticate');
  }
  if (maxSize !== undefined && backend === undefined && storedBytes === undefined) {
    throw new TypeError('maxSize with open() needs storedBytes()');
  }
  for (const [name, value] of Object.entries({ largestUpload, maxSize, memory, stallMs })) {
    if (value !== undefined && !(value > 0)) throw new RangeError(`${name} must be more than 0`);
  }
  if (memory < largestUpload) throw new RangeError('memory must be at least largestUpload');
  return { ...settings, memory };
}
