/** The flags every command of restic-engine takes, before it or after it. */
import type { GlobalFlag } from './global-flag.ts';
import { COMPRESSIONS } from './globals.ts';

/** What the command line says, before the environment has its word. */
export interface GlobalFlags {
  repo?: string;
  repositoryFile?: string;
  passwordFile?: string;
  passwordCommand?: string;
  keyHint?: string;
  insecureNoPassword?: boolean;
  quiet?: boolean;
  verbose?: number;
  json?: boolean;
  noLock?: boolean;
  retryLock?: string;
  compression?: string;
  packSize?: string;
  noExtraVerify?: boolean;
  cacheDir?: string;
  cleanupCache?: boolean;
  noCache?: boolean;
  option?: string[];
  limitUpload?: string;
  limitDownload?: string;
  cacert?: string[];
  tlsClientCert?: string;
  insecureTls?: boolean;
  httpUserAgent?: string;
  stuckRequestTimeout?: string;
  profile?: string;
  metricsFile?: string;
}

export const GLOBAL_FLAGS: readonly GlobalFlag<GlobalFlags>[] = [
  {
    flags: '-r, --repo <repository>',
    description: 'repository to backup to or restore from (default: $RESTIC_REPOSITORY)',
    apply: (flags, value) => void (flags.repo = value),
  },
  {
    flags: '--repository-file <file>',
    description: 'file to read the repository location from (default: $RESTIC_REPOSITORY_FILE)',
    apply: (flags, value) => void (flags.repositoryFile = value),
  },
  {
    flags: '-p, --password-file <file>',
    description: 'file to read the repository password from (default: $RESTIC_PASSWORD_FILE)',
    apply: (flags, value) => void (flags.passwordFile = value),
  },
  {
    flags: '--password-command <command>',
    description: 'command to obtain the repository password from (default: $RESTIC_PASSWORD_COMMAND)',
    apply: (flags, value) => void (flags.passwordCommand = value),
  },
  {
    flags: '--key-hint <key>',
    description: 'key ID of key to try decrypting first (default: $RESTIC_KEY_HINT)',
    apply: (flags, value) => void (flags.keyHint = value),
  },
  {
    flags: '--insecure-no-password',
    description: 'use an empty password for the repository, must be passed to every command (insecure)',
    apply: (flags) => void (flags.insecureNoPassword = true),
  },
  {
    flags: '-q, --quiet',
    description: 'do not output comprehensive progress report',
    apply: (flags) => void (flags.quiet = true),
  },
  {
    flags: '-v, --verbose',
    description: 'be verbose (specify multiple times or a level using --verbose=n, max level/times is 2)',
    apply: (flags) => void (flags.verbose = (flags.verbose ?? 0) + 1),
  },
  {
    flags: '--json',
    description: 'set output mode to JSON for commands that support it',
    apply: (flags) => void (flags.json = true),
  },
  {
    flags: '--no-lock',
    description: 'do not lock the repository, this allows some operations on read-only repositories',
    apply: (flags) => void (flags.noLock = true),
  },
  {
    flags: '--retry-lock <duration>',
    description:
      'retry to lock the repository if it is already locked, takes a value like 5m or 2h (default: no retries)',
    apply: (flags, value) => void (flags.retryLock = value),
  },
  {
    flags: '--compression <mode>',
    description: 'compression mode of what is added to a repository of version 2',
    choices: COMPRESSIONS,
    preset: '$RESTIC_COMPRESSION or auto',
    apply: (flags, value) => void (flags.compression = value),
  },
  {
    flags: '--pack-size <size>',
    description: 'target pack size in MiB, created pack files may be larger (default: $RESTIC_PACK_SIZE)',
    apply: (flags, value) => void (flags.packSize = value),
  },
  {
    flags: '--no-extra-verify',
    description: 'skip additional verification of data before upload',
    apply: (flags) => void (flags.noExtraVerify = true),
  },
  {
    flags: '--cache-dir <directory>',
    description: 'set the cache directory (default: $RESTIC_CACHE_DIR, or a folder of the user)',
    apply: (flags, value) => void (flags.cacheDir = value),
  },
  {
    flags: '--cleanup-cache',
    description: 'auto remove old cache directories',
    apply: (flags) => void (flags.cleanupCache = true),
  },
  {
    flags: '--no-cache',
    description: 'do not use a local cache',
    apply: (flags) => void (flags.noCache = true),
  },
  {
    flags: '-o, --option <key=value>',
    description: 'set extended option (can be specified multiple times; the options command lists them)',
    repeated: true,
    apply: (flags, value) => void (flags.option ??= []).push(value),
  },
  {
    flags: '--limit-download <rate>',
    description: 'limits downloads to a maximum rate in KiB/s (default: unlimited)',
    apply: (flags, value) => void (flags.limitDownload = value),
  },
  {
    flags: '--limit-upload <rate>',
    description: 'limits uploads to a maximum rate in KiB/s (default: unlimited)',
    apply: (flags, value) => void (flags.limitUpload = value),
  },
  {
    flags: '--cacert <file>',
    description:
      'file to load root certificates from (can be specified multiple times) (default: system certificates or $RESTIC_CACERT)',
    repeated: true,
    apply: (flags, value) => void (flags.cacert ??= []).push(value),
  },
  {
    flags: '--tls-client-cert <file>',
    description:
      'file with a PEM encoded TLS client certificate and its private key (default: $RESTIC_TLS_CLIENT_CERT)',
    apply: (flags, value) => void (flags.tlsClientCert = value),
  },
  {
    flags: '--insecure-tls',
    description: 'skip TLS certificate verification when connecting to the repository (insecure)',
    apply: (flags) => void (flags.insecureTls = true),
  },
  {
    flags: '--http-user-agent <string>',
    description: 'set a http user agent for outgoing http requests (default: $RESTIC_HTTP_USER_AGENT)',
    apply: (flags, value) => void (flags.httpUserAgent = value),
  },
  {
    flags: '--stuck-request-timeout <duration>',
    description: 'duration after which to retry stuck requests (default: 5m)',
    apply: (flags, value) => void (flags.stuckRequestTimeout = value),
  },
  {
    flags: '-P, --profile <name>',
    description: 'take settings from this profile, a name or the path of a file (default: $RESTIC_ENGINE_PROFILE)',
    apply: (flags, value) => void (flags.profile = value),
  },
  {
    flags: '--metrics-file <file>',
    description: 'write how the run went to this file, for Prometheus',
    apply: (flags, value) => void (flags.metricsFile = value),
  },
];

/** The global flag of that long name, without `--`. */
export function findGlobalFlag(name: string): GlobalFlag<GlobalFlags> | undefined {
  return GLOBAL_FLAGS.find(({ flags }) => /--([a-z-]+)/.exec(flags)?.[1] === name);
}

/** `--verbose=2` and `-v=2` as the two flags they stand for; the words after `--` are left alone. */
export function expandVerbose(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  const last = end < 0 ? argv.length : end;
  return argv.flatMap((word, index) => {
    const level = index < last ? /^(?:--verbose|-v)=(\d+)$/.exec(word)?.[1] : undefined;
    return level === undefined ? word : Array.from({ length: Math.min(Number(level), 2) }, () => '--verbose');
  });
}
