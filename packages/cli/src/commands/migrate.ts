import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { CheckResult, Migration, Repository } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { withRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { createPhaseReport } from '../render/phases.ts';
import type { Ui } from '../ui.ts';
import { keepFile } from '../values/keep-file.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Say what can be done', words: '-r /srv/backups migrate' },
    { purpose: 'Let a repository of version 1 compress', words: '-r /srv/backups migrate upgrade_repo_v2' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineMigrate(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('migrate'), MANUAL)
    .description(
      'Say which migrations can be applied to the repository, or apply those that are named. The repository is checked first.',
    )
    .argument('[migration name...]')
    .option('-f, --force', 'apply a migration a second time')
    .action((names: readonly string[], { force = false }: { readonly force?: true | undefined | false }) =>
      migrate(start(), names, force),
    );
}

async function migrate(context: Context, names: readonly string[], force: boolean): Promise<void> {
  const { ui } = context;
  await withRepository(context, async (repository, engine) => {
    const migrations = await engine.listMigrations(repository);
    if (names.length === 0) {
      tellAvailable(ui, migrations);
      return;
    }
    for (const name of names) {
      const migration = migrations.find((each) => each.name === name);
      if (migration === undefined) ui.warn(`unknown migration ${name}`);
      else if (migration.refusal !== undefined && !force) tellRefusal(ui, migration);
      else await apply(context, repository, engine, migration);
    }
  });
}

function tellAvailable(ui: Ui, migrations: readonly Migration[]): void {
  const available = migrations.filter(({ refusal }) => refusal === undefined);
  ui.say('available migrations:');
  for (const { name, description } of available) ui.say(`  ${name}\t${description}`);
  if (available.length === 0) ui.say('no migrations found');
  if (!ui.json) return;
  const list = available.map(({ name, description }) => ({ name, description }));
  ui.line(JSON.stringify({ message_type: 'migrations', available: list }));
}

function tellRefusal(ui: Ui, { name, refusal }: Migration): void {
  ui.warn(`migration ${name} cannot be applied: ${refusal}`);
  ui.say('If you want to apply this migration anyway, re-run with option --force');
}

/** A copy of the config lies in a folder for temporary files until all is well. */
async function apply(
  context: Context,
  repository: Repository,
  engine: Engine,
  { name, refusal }: Migration,
): Promise<void> {
  const { globals, signal, ui } = context;
  if (refusal !== undefined) ui.warn(`check for migration ${name} failed, continuing anyway`);
  using report = createPhaseReport(ui, {
    index: { title: 'checking repository integrity...', counts: 'index files loaded' },
    packs: { title: 'check all packs', counts: 'packs' },
    trees: { title: 'check snapshots, trees and blobs', counts: 'trees' },
    data: { counts: 'packs' },
  });
  const folder = await mkdtemp(join(tmpdir(), 'restic-engine-migrate-'));
  const copy = join(folder, 'config');
  let isKept = false;
  try {
    const { problems } = await engine.migrate(repository, name, {
      force: refusal !== undefined,
      keepConfig: async (bytes) => {
        await keepFile(copy, bytes);
        isKept = true;
        ui.say(`applying migration ${name}...`);
      },
      onChecked: (result) => {
        report.finish();
        tellChecked(ui, result);
      },
      retryLockMs: globals.retryLockMs,
      signal,
      onProgress: (progress) => report.onProgress(progress),
    });
    for (const problem of problems) ui.warn(problem);
    isKept = false;
  } catch (error) {
    if (isKept) ui.warn(`migration ${name} failed; a copy of the config file before it is at ${copy}`);
    if (engine.EngineError.is(error, 'corrupt') && !isKept) throw new Fatal(error.message);
    throw error;
  } finally {
    if (!isKept) await rm(folder, { recursive: true });
  }
  if (ui.json) ui.line(JSON.stringify({ message_type: 'migrated', name }));
  ui.say(`migration ${name}: success`);
}

function tellChecked(ui: Ui, { errors, hints }: CheckResult): void {
  for (const { message } of errors) ui.warn(message);
  for (const { message } of hints) ui.say(message, 2);
  if (errors.length === 0) ui.say('no errors were found');
  else ui.warn('\nThe repository is damaged and must be repaired: `restic-engine check` says how.\n');
}
