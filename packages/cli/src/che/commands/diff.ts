import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { StateDifference, StateSide } from '@restic-engine/che-state';
import type { Repository } from 'restic-engine';
import { documented, REPOSITORY_EXITS } from '../../manual/manual.ts';
import type { Manual } from '../../manual/manual.ts';
import { toJson } from '../../render/json.ts';
import type { Screen } from '../../render/screen.ts';
import type { Ui } from '../../ui.ts';
import { findNamespace, withCluster } from '../cluster.ts';
import type { CheState } from '../cluster.ts';
import type { CheContext, CheStart } from '../context.ts';
import { findOptions } from '../find-state.ts';
import { refText } from '../render/ref.ts';
import { withRepositoryToRead } from '../server.ts';
import { addServerFlags } from '../server-flags.ts';
import type { ServerFlags } from '../server-flags.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Say what has changed in the cluster since the latest backup', words: 'diff latest' },
    { purpose: 'Compare two backups', words: 'diff 5845b002 c1c8107b' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineDiff(program: CommandUnknownOpts, start: CheStart): CommandUnknownOpts {
  const command = documented(program.command('diff'), MANUAL)
    .description(
      'Say in which objects and fields two backups differ, or a backup and the installation in the cluster as it is now. Secrets are not shown, only that they differ. Databases are not compared.',
    )
    .argument('<before>', 'an ID or its beginning, or latest')
    .argument('[after]', 'the same; the cluster where it is left out');
  addServerFlags(command);
  return command.action((before: string, after: string | undefined, flags: ServerFlags) =>
    diff(start(), before, after, flags),
  );
}

async function diff(context: CheContext, first: string, second: string | undefined, flags: ServerFlags): Promise<void> {
  await withRepositoryToRead(context, flags, async (repository, che) => {
    const before = await saved(context, repository, che, first);
    if (second !== undefined) return compare(context, che, before, await saved(context, repository, che, second));
    return withCluster(context, async (cluster) => {
      const { signal } = context;
      const namespace = await findNamespace(context, cluster, che);
      const installation = await che.findInstallation(cluster, { namespace, signal });
      return compare(context, che, before, await che.liveState(cluster, installation, { signal }));
    });
  });
}

async function saved(context: CheContext, repository: Repository, che: CheState, which: string): Promise<StateSide> {
  return che.openState(repository, which, await findOptions(context, which));
}

const MARKS: Readonly<Record<StateDifference['change'], string>> = { added: '+', removed: '-', changed: 'M' };

async function compare({ signal, ui }: CheContext, che: CheState, before: StateSide, after: StateSide): Promise<void> {
  const counts = { added: 0, removed: 0, changed: 0 };
  for await (const difference of che.diffStates(before, after, { signal })) {
    counts[difference.change]++;
    tell(ui, difference);
  }
  const { added, removed, changed } = counts;
  if (ui.json) ui.line(toJson({ message_type: 'statistics', ...counts }));
  else ui.say(`objects: ${added} added, ${removed} removed, ${changed} changed`);
}

function tell(ui: Ui, { ref, path, change, fields }: StateDifference): void {
  if (ui.json) {
    const { kind, namespace, name } = ref;
    ui.line(toJson({ message_type: 'change', change, kind: kind.kind, namespace, name, path, fields }));
    return;
  }
  const { name } = ui.screen;
  ui.print([
    `${MARKS[change]}    ${name(refText(ref))}`,
    ...fields.map((field) => {
      const values = [field.before, field.after].map((value) => shown(ui.screen, value));
      return `${MARKS[field.change]}      ${name(field.path)}: ${values.filter(Boolean).join(' → ')}`;
    }),
  ]);
}

/** Characters of a value: a whole one may be a file. */
const LONGEST = 120;

function shown({ name }: Screen, value: unknown): string {
  if (value === undefined) return '';
  const text = toJson(value);
  return name(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
}
