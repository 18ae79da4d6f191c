import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Backend, InitResult } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import type { Environment } from '../globals.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { newPassword, openPlace } from '../open.ts';
import type { Engine } from '../open.ts';
import { addSecondaryFlags, secondaryOf, withSecondary } from '../secondary.ts';
import type { Secondary, SecondaryFlags } from '../secondary.ts';

interface Flags extends SecondaryFlags {
  readonly repositoryVersion: string;
  readonly copyChunkerParams?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Make a repository in a folder', words: '-r /srv/new init' },
    {
      purpose: 'Make one that cuts files as another one does, for copies',
      words: '-r /srv/copies init --from-repo /srv/backups --from-password-file /etc/backup.key --copy-chunker-params',
    },
  ],
  exits: LOCAL_EXITS,
};

export function defineInit(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('init'), MANUAL)
    .description('Initialize a new repository.')
    .option(
      '--repository-version <string>',
      "repository format version to use, allowed values are a format version, 'latest' and 'stable'",
      'stable',
    )
    .option(
      '--copy-chunker-params',
      'copy chunker parameters from the secondary repository (useful with the copy command)',
    );
  addSecondaryFlags(command, 'chunker parameters');
  return command.action((flags: Flags) => init(start(), flags));
}

/** The command line must make sense before anything is opened. */
function parametersSource(flags: Flags, env: Environment): Secondary | undefined {
  if (flags.copyChunkerParams) return secondaryOf(flags, env);
  if ((flags.fromRepo ?? flags.fromRepositoryFile) === undefined) return undefined;
  throw new Fatal('Secondary repository must only be specified when copying the chunker parameters');
}

async function init(context: Context, flags: Flags): Promise<void> {
  const { env, globals, signal, ui } = context;
  const version = parseVersion(flags.repositoryVersion);
  const secondary = parametersSource(flags, env);
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
function copyPolynomial(context: Context, engine: Engine, secondary: Secondary): Promise<string> {
  return withSecondary(context, engine, secondary, async ({ config }) => config.chunkerPolynomial);
}

function parseVersion(text: string): 1 | 2 {
  if (text === 'latest' || text === 'stable' || text === '2') return 2;
  if (text === '1') return 1;
  if (/^\d+$/.test(text)) throw new Fatal('only repository versions between 1 and 2 are allowed');
  throw new Fatal('invalid repository version');
}
