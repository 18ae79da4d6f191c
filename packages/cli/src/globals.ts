/** The global flags and the environment, made into what the library is called with (restic manual, "Environment Variables"). */
import type { OpenOptions } from 'restic-engine';
import type { GlobalFlags } from './flags.ts';
import { Fatal, namingFlag, UsageError } from './failure.ts';
import type { PasswordSources } from './password.ts';
import { resolveTransport } from './transport.ts';
import type { Transport } from './transport.ts';
import type { Verbosity } from './ui.ts';
import { parseDuration } from './values/duration.ts';
import { parseCount } from './values/size.ts';
import { readTextFile } from './values/text-file.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

type Compression = NonNullable<OpenOptions['compression']>;

export interface Globals {
  readonly repository: RepositorySources;
  readonly password: PasswordSources;
  readonly keyHint: string | undefined;
  readonly json: boolean;
  readonly verbosity: Verbosity;
  readonly fps: number | undefined;
  /** false with --no-lock */
  readonly lock: boolean;
  readonly retryLockMs: number | undefined;
  readonly compression: Compression | undefined;
  /** Bytes. */
  readonly packSize: number | undefined;
  readonly verifyWrites: boolean;
  readonly transport: Transport;
  readonly cache: CacheSettings;
}

export interface CacheSettings {
  /** false with --no-cache */
  readonly wanted: boolean;
  /** Undefined where none is named. */
  readonly folder: string | undefined;
  /** Remove old ones on the way. */
  readonly cleanUp: boolean;
}

export interface RepositorySources {
  readonly location: string | undefined;
  readonly file: string | undefined;
}

export const COMPRESSIONS: readonly Compression[] = ['auto', 'off', 'fastest', 'better', 'max'];
const MIB = 2 ** 20;
const MAX_PACK_MIB = 128;
const MAX_FPS = 60;

/** Flags win over the environment; a value that cannot be understood is an error wherever it comes from. */
export function resolveGlobals(flags: GlobalFlags, env: Environment): Globals {
  return {
    repository: {
      location: given(flags.repo, env['RESTIC_REPOSITORY']),
      file: given(flags.repositoryFile, env['RESTIC_REPOSITORY_FILE']),
    },
    password: {
      command: given(flags.passwordCommand, env['RESTIC_PASSWORD_COMMAND']),
      file: given(flags.passwordFile, env['RESTIC_PASSWORD_FILE']),
      text: given(undefined, env['RESTIC_PASSWORD']),
      insecureNoPassword: flags.insecureNoPassword ?? false,
    },
    keyHint: given(flags.keyHint, env['RESTIC_KEY_HINT']),
    json: flags.json ?? false,
    verbosity: verbosity(flags),
    fps: framesPerSecond(env['RESTIC_PROGRESS_FPS']),
    lock: flags.noLock !== true,
    retryLockMs:
      flags.retryLock === undefined
        ? undefined
        : namingFlag('--retry-lock', () => parseDuration(flags.retryLock ?? '')),
    compression: compression(flags, env),
    packSize: packSize(flags, env),
    verifyWrites: flags.noExtraVerify !== true,
    transport: resolveTransport(flags, env),
    cache: {
      wanted: flags.noCache !== true,
      folder: given(flags.cacheDir, env['RESTIC_CACHE_DIR']),
      cleanUp: flags.cleanupCache ?? false,
    },
  };
}

/** Where the repository is; the text of a location may hold a secret. */
export async function repositoryLocation({ location, file }: RepositorySources): Promise<string> {
  if (location !== undefined && file !== undefined) {
    throw new Fatal('Options -r and --repository-file are mutually exclusive, please specify only one');
  }
  if (location !== undefined) return location;
  if (file === undefined) throw new Fatal('Please specify repository location (-r or --repository-file)');
  return Buffer.from(await readTextFile(file)).toString();
}

/** As in restic, what is empty counts as not given. */
function given(flag: string | undefined, variable: string | undefined): string | undefined {
  return (flag ?? variable) || undefined;
}

function verbosity({ quiet = false, verbose = 0 }: GlobalFlags): Verbosity {
  if (quiet && verbose > 0) throw new Fatal('--quiet and --verbose cannot be specified at the same time');
  if (quiet) return 0;
  return verbose === 0 ? 1 : verbose === 1 ? 2 : 3;
}

function compression(flags: GlobalFlags, env: Environment): Compression | undefined {
  const text = given(flags.compression, env['RESTIC_COMPRESSION']);
  if (text === undefined) return undefined;
  const found = COMPRESSIONS.find((mode) => mode === text);
  if (found !== undefined) return found;
  const source = flags.compression === undefined ? 'RESTIC_COMPRESSION' : '--compression';
  throw new UsageError(`invalid value "${text}" for ${source}, it must be one of (${COMPRESSIONS.join('|')})`);
}

function packSize(flags: GlobalFlags, env: Environment): number | undefined {
  const text = given(flags.packSize, env['RESTIC_PACK_SIZE']);
  if (text === undefined) return undefined;
  const source = flags.packSize === undefined ? 'RESTIC_PACK_SIZE' : '--pack-size';
  const size = namingFlag(source, () => parseCount(text));
  if (size > MAX_PACK_MIB) throw new Fatal(`pack size larger than limit of ${MAX_PACK_MIB} MiB`);
  return size === 0 ? undefined : size * MIB;
}

/** Anything that is no rate is ignored, as in restic. */
function framesPerSecond(text: string | undefined): number | undefined {
  const fps = Number(text);
  return text !== undefined && fps > 0 ? Math.min(fps, MAX_FPS) : undefined;
}
