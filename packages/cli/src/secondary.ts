/** The other repository of a command: where snapshots or chunker parameters are copied from. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Repository } from 'restic-engine';
import { openCache } from './cache.ts';
import type { Context } from './context.ts';
import { Fatal } from './failure.ts';
import type { Environment, RepositorySources } from './globals.ts';
import { openPlace, openWithPassword } from './open.ts';
import type { Engine } from './open.ts';
import type { PasswordSources } from './password.ts';

export interface SecondaryFlags {
  readonly fromRepo?: string | undefined;
  readonly fromRepositoryFile?: string | undefined;
  readonly fromPasswordFile?: string | undefined;
  readonly fromPasswordCommand?: string | undefined;
  readonly fromKeyHint?: string | undefined;
  readonly fromInsecureNoPassword?: true | undefined;
}

export interface Secondary {
  readonly repository: RepositorySources;
  readonly password: PasswordSources;
  readonly keyHint: string | undefined;
}

/** The flags of {@link SecondaryFlags}; `purpose` is what is copied. */
export function addSecondaryFlags(command: CommandUnknownOpts, purpose: string): void {
  command
    .optionsGroup('Source Repository:')
    .option('--from-repo <repository>', `source repository to copy ${purpose} from (default: $RESTIC_FROM_REPOSITORY)`)
    .option(
      '--from-repository-file <file>',
      `file from which to read the source repository location to copy ${purpose} from (default: $RESTIC_FROM_REPOSITORY_FILE)`,
    )
    .option(
      '--from-password-file <file>',
      'file to read the source repository password from (default: $RESTIC_FROM_PASSWORD_FILE)',
    )
    .option(
      '--from-password-command <command>',
      'command to obtain the source repository password from (default: $RESTIC_FROM_PASSWORD_COMMAND)',
    )
    .option(
      '--from-key-hint <string>',
      'key ID of key to try decrypting the source repository first (default: $RESTIC_FROM_KEY_HINT)',
    )
    .option('--from-insecure-no-password', 'use an empty password for the source repository (insecure)');
}

/** The flags and RESTIC_FROM_…; throws when they do not name a repository. */
export function secondaryOf(flags: SecondaryFlags, env: Environment): Secondary {
  const given = (flag: string | undefined, name: string): string | undefined => (flag ?? env[name]) || undefined;
  const repository = {
    location: given(flags.fromRepo, 'RESTIC_FROM_REPOSITORY'),
    file: given(flags.fromRepositoryFile, 'RESTIC_FROM_REPOSITORY_FILE'),
  };
  if (repository.location === undefined && repository.file === undefined) {
    throw new Fatal('Please specify a source repository location (--from-repo or --from-repository-file)');
  }
  if (repository.location !== undefined && repository.file !== undefined) {
    throw new Fatal('Options --from-repo and --from-repository-file are mutually exclusive, please specify only one');
  }
  const password = {
    command: given(flags.fromPasswordCommand, 'RESTIC_FROM_PASSWORD_COMMAND'),
    file: given(flags.fromPasswordFile, 'RESTIC_FROM_PASSWORD_FILE'),
    text: given(undefined, 'RESTIC_FROM_PASSWORD'),
    insecureNoPassword: flags.fromInsecureNoPassword === true,
  };
  return { repository, password, keyHint: given(flags.fromKeyHint, 'RESTIC_FROM_KEY_HINT') };
}

/** Opens the other repository, does the work, and closes everything. */
export async function withSecondary<T>(
  context: Context,
  engine: Engine,
  { repository: place, password: sources, keyHint }: Secondary,
  work: (repository: Repository) => Promise<T>,
): Promise<T> {
  await using backend = await openPlace(context, engine, place);
  await using forRun = await openCache(context, engine, backend);
  const { cache } = forRun;
  await using repository = await openWithPassword(context, engine, {
    backend,
    cache,
    sources,
    keyHint,
    title: 'source repository',
    emptyFlag: '--from-insecure-no-password',
  });
  if (context.ui.terminal) {
    const { id, version } = repository.config;
    context.ui.say(`source repository ${id.slice(0, 8)} opened (version ${version})`);
  }
  return await work(repository);
}
