import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Context, Start } from '../context.ts';
import { Fatal, Incomplete } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { findNamed, tellIgnored } from '../named.ts';
import { withRepository } from '../open.ts';
import { addFilterFlags, collect, snapshotFilter, splitTags } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';

interface Flags extends FilterFlags {
  readonly set?: readonly string[] | undefined;
  readonly add?: readonly string[] | undefined;
  readonly remove?: readonly string[] | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Add a tag to the snapshots of a host', words: '-r /srv/backups tag --add keep --host web1' },
    { purpose: 'Take it from one', words: '-r /srv/backups tag --remove keep 5845b002' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineTag(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('tag'), MANUAL)
    .description(
      'Modify the tags of snapshots: all, those that pass a filter, or those that are named. A snapshot with other tags has another ID.',
    )
    .argument('[snapshotID...]')
    .option(
      '--set <tags>',
      'tags which will replace the existing tags, as tag[,tag,...] (can be given multiple times)',
      collect,
    )
    .option('--add <tags>', 'tags which will be added, as tag[,tag,...] (can be given multiple times)', collect)
    .option('--remove <tags>', 'tags which will be removed, as tag[,tag,...] (can be given multiple times)', collect);
  addFilterFlags(command);
  return command.action((ids: readonly string[], flags: Flags) => tag(start(), ids, flags));
}

async function tag(context: Context, ids: readonly string[], flags: Flags): Promise<void> {
  const { env, globals, signal, ui } = context;
  const { set = [], add = [], remove = [] } = flags;
  if (set.length + add.length + remove.length === 0) throw new Fatal('nothing to do!');
  if (set.length > 0 && add.length + remove.length > 0) {
    throw new Fatal('--set and --add/--remove cannot be given at the same time');
  }
  if (!globals.lock) ui.warn('tag always locks the repository, --no-lock has no effect');
  const wanted = { set: flatten(set), add: flatten(add), remove: flatten(remove) };
  const filter = snapshotFilter(flags, env);
  await withRepository(context, async (repository, engine) => {
    ui.say('create exclusive lock for repository');
    const named = ids.length === 0 ? undefined : await findNamed(context, repository, engine, { ids, filter, signal });
    // As for restic, setting the empty tag changes nothing, and neither do names without a snapshot.
    const isIdle = wanted.set.length + wanted.add.length + wanted.remove.length === 0 || named?.length === 0;
    const { changed, failed, problems } = isIdle
      ? { changed: [], failed: [], problems: [] }
      : await engine.tag(repository, {
          ids: named?.map(({ id }) => id),
          filter,
          onBroken: (id, error) => tellIgnored(ui, id, error),
          ...(set.length > 0 ? { set: wanted.set } : { add: wanted.add, remove: wanted.remove }),
          retryLockMs: globals.retryLockMs,
          signal,
        });
    for (const { before, after } of changed) {
      if (ui.json)
        ui.line(JSON.stringify({ message_type: 'changed', old_snapshot_id: before, new_snapshot_id: after }));
      else ui.say(`old snapshot ID: ${before} -> new snapshot ID: ${after}`, 2);
    }
    if (ui.json) ui.line(JSON.stringify({ message_type: 'summary', changed_snapshots: changed.length }));
    else ui.say(changed.length === 0 ? 'no snapshots were modified' : `modified ${changed.length} snapshots`);
    for (const problem of problems) ui.warn(problem);
    for (const { id, error } of failed) ui.warn(`unable to modify the tags for snapshot ${id}: ${error.message}`);
    if (failed.length > 0) throw new Incomplete(1, 'failed to modify one or more snapshots');
  });
}

function flatten(lists: readonly string[]): string[] {
  return lists.flatMap(splitTags).filter((name) => name !== '');
}
