/** Which settings stand for each other: what answers a question in a stronger place makes the weaker places silent. */

interface Question {
  /** Without `--`. */
  readonly flags: readonly string[];
  readonly variables: readonly string[];
}

const both = (flag: string, variable: string): Question => ({ flags: [flag], variables: [variable] });

const QUESTIONS: readonly Question[] = [
  { flags: ['repo', 'repository-file'], variables: ['RESTIC_REPOSITORY', 'RESTIC_REPOSITORY_FILE'] },
  {
    flags: ['password-file', 'password-command', 'insecure-no-password'],
    variables: ['RESTIC_PASSWORD', 'RESTIC_PASSWORD_FILE', 'RESTIC_PASSWORD_COMMAND'],
  },
  both('key-hint', 'RESTIC_KEY_HINT'),
  { flags: ['quiet', 'verbose'], variables: [] },
  both('compression', 'RESTIC_COMPRESSION'),
  both('pack-size', 'RESTIC_PACK_SIZE'),
  both('cache-dir', 'RESTIC_CACHE_DIR'),
  both('cacert', 'RESTIC_CACERT'),
  both('tls-client-cert', 'RESTIC_TLS_CLIENT_CERT'),
  both('http-user-agent', 'RESTIC_HTTP_USER_AGENT'),
  { flags: ['host', 'hostname'], variables: ['RESTIC_HOST'] },
  both('read-concurrency', 'RESTIC_READ_CONCURRENCY'),
  both('ignore-inode', 'RESTIC_IGNORE_INODE'),
  both('ignore-ctime', 'RESTIC_IGNORE_CTIME'),
  {
    flags: ['from-repo', 'from-repository-file'],
    variables: ['RESTIC_FROM_REPOSITORY', 'RESTIC_FROM_REPOSITORY_FILE'],
  },
  {
    flags: ['from-password-file', 'from-password-command', 'from-insecure-no-password'],
    variables: ['RESTIC_FROM_PASSWORD', 'RESTIC_FROM_PASSWORD_FILE', 'RESTIC_FROM_PASSWORD_COMMAND'],
  },
  both('from-key-hint', 'RESTIC_FROM_KEY_HINT'),
  { flags: ['read-data', 'read-data-subset'], variables: [] },
];

const BY_FLAG: ReadonlyMap<string, Question> = new Map(
  QUESTIONS.flatMap((question) => question.flags.map((flag) => [flag, question] as const)),
);

/** The flag itself, and those that say the same in another way. */
export function rivalsOf(flag: string): readonly string[] {
  return BY_FLAG.get(flag)?.flags ?? [flag];
}

/** The environment variables that count before a profile's `flag`. */
export function variablesOf(flag: string): readonly string[] {
  return BY_FLAG.get(flag)?.variables ?? [];
}

/** The flags that stand for an environment variable. */
export function flagsOf(variable: string): readonly string[] {
  return QUESTIONS.find(({ variables }) => variables.includes(variable))?.flags ?? [];
}
