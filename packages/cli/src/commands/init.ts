import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Backend, InitResult } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import type { Environment, RepositorySources } from '../globals.ts';
import { newPassword, openPlace, openWithPassword } from '../open.ts';
import type { Engine } from '../open.ts';
import type { PasswordSources } from '../password.ts';

/** The repository whose chunker parameters are copied. */
interface Secondary {
  readonly repository: RepositorySources;
  readonly password: PasswordSources;
  readonly keyHint: string | undefined;
}

interface Flags {
  readonly repositoryVersion: string;
  readonly copyChunkerParams?: true | undefined;
  readonly fromRepo?: string | undefined;
  readonly fromRepositoryFile?: string | undefined;
  readonly fromPasswordFile?: string | undefined;
  readonly fromPasswordCommand?: string | undefined;
  readonly fromKeyHint?: string | undefined;
  readonly fromInsecureNoPassword?: true | undefined;
}

export function defineInit(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return program
    .command('init')
    .description('Initialize a new repository.')
    .option(
      '--repository-version <string>',
      "repository format version to use, allowed values are a format version, 'latest' and 'stable'",
      'stable',
    )
    .option(
      '--copy-chunker-params',
      'copy chunker parameters from the secondary repository (useful with the copy command)',
    )
    .option(
      '--from-repo <repository>',
      'source repository to copy chunker parameters from (default: $RESTIC_FROM_REPOSITORY)',
    )
    .option(
      '--from-repository-file <file>',
      'file from which to read the source repository location (default: $RESTIC_FROM_REPOSITORY_FILE)',
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
    .option('--from-insecure-no-password', 'use an empty password for the source repository (insecure)')
    .action((options) => init(start(), options));
}

/** The command line must make sense before anything is opened. */
function secondaryOf(flags: Flags, env: Environment): Secondary | undefined {
  const given = (flag: string | undefined, name: string): string | undefined => (flag ?? env[name]) || undefined;
  const repository = {
    location: given(flags.fromRepo, 'RESTIC_FROM_REPOSITORY'),
    file: given(flags.fromRepositoryFile, 'RESTIC_FROM_REPOSITORY_FILE'),
  };
  if (!flags.copyChunkerParams) {
    if ((flags.fromRepo ?? flags.fromRepositoryFile) === undefined) return undefined;
    throw new Fatal('Secondary repository must only be specified when copying the chunker parameters');
  }
  if (repository.location === undefined && repository.file === undefined) {
    throw new Fatal('Please specify a source repository location (--from-repo or --from-repository-file)');
  }
  const password = {
    command: given(flags.fromPasswordCommand, 'RESTIC_FROM_PASSWORD_COMMAND'),
    file: given(flags.fromPasswordFile, 'RESTIC_FROM_PASSWORD_FILE'),
    text: given(undefined, 'RESTIC_FROM_PASSWORD'),
    insecureNoPassword: flags.fromInsecureNoPassword === true,
  };
  return { repository, password, keyHint: given(flags.fromKeyHint, 'RESTIC_FROM_KEY_HINT') };
}

async function init(context: Context, flags: Flags): Promise<void> {
  const { env, globals, signal, ui } = context;
  const version = parseVersion(flags.repositoryVersion);
  const secondary = secondaryOf(flags, env);
  const engine = await import('restic-engine');
  const chunkerPolynomial = secondary && (await copyPolynomial(context, engine, secondary));
  await using backend = await openPlace(context, engine, globals.repository);
  const password = await newPassword(context, globals.password, '--insecure-no-password');
  let made: InitResult;
  try {
    made = await engine.initRepository({ backend, password, version, chunkerPolynomial, signal });
  } catch (error) {
    if (!engine.EngineError.is(error, 'already-exists')) throw error;
    // Scripts that make a repository where there is none look for these words.
    const reason = (await hasConfig(engine, backend, signal)) ? 'config file already exists' : error.message;
    throw new Fatal(`create repository at ${backend.location} failed: ${reason}`);
  }
  if (ui.json) {
    ui.line(JSON.stringify({ message_type: 'initialized', id: made.id, repository: backend.location }));
    return;
  }
  ui.say(`created restic repository ${made.id.slice(0, 10)} at ${backend.location}`);
  if (secondary !== undefined) ui.say(' with chunker parameters copied from secondary repository');
  ui.say(
    '\nKeep the password safe: without it nobody can read this repository,\nand what is stored in it is lost for good.',
  );
}

async function hasConfig(engine: Engine, backend: Backend, signal: AbortSignal): Promise<boolean> {
  try {
    await backend.stat({ type: 'config', name: '' }, { signal });
    return true;
  } catch (error) {
    if (engine.EngineError.is(error, 'not-found')) return false;
    throw error;
  }
}

/** Repositories with the same polynomial cut files alike, so that copies between them find what is there already. */
async function copyPolynomial(context: Context, engine: Engine, secondary: Secondary): Promise<string> {
  await using backend = await openPlace(context, engine, secondary.repository);
  await using repository = await openWithPassword(context, engine, {
    backend,
    sources: secondary.password,
    keyHint: secondary.keyHint,
  });
  return repository.config.chunkerPolynomial;
}

function parseVersion(text: string): 1 | 2 {
  if (text === 'latest' || text === 'stable' || text === '2') return 2;
  if (text === '1') return 1;
  if (/^\d+$/.test(text)) throw new Fatal('only repository versions between 1 and 2 are allowed');
  throw new Fatal('invalid repository version');
}
