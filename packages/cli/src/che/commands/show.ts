import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { BackupInfo, ObjectRef, SavedState } from '@restic-engine/che-state';
import { documented, REPOSITORY_EXITS } from '../../manual/manual.ts';
import type { Manual } from '../../manual/manual.ts';
import { formatBytes } from '../../render/bytes.ts';
import { toJson } from '../../render/json.ts';
import type { Ui } from '../../ui.ts';
import type { CheContext, CheStart } from '../context.ts';
import { findOptions } from '../find-state.ts';
import { withRepositoryToRead } from '../server.ts';
import { addServerFlags } from '../server-flags.ts';
import type { ServerFlags } from '../server-flags.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Show what is in the latest backup of this installation', words: 'show latest' },
    { purpose: 'The same of another one, for a program', words: 'show 5845b002 --json' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineShow(program: CommandUnknownOpts, start: CheStart): CommandUnknownOpts {
  const command = documented(program.command('show'), MANUAL)
    .description('Show where a backup comes from, and the objects and databases in it. Contents are not shown.')
    .argument('<snapshot>', 'an ID or its beginning, or latest');
  addServerFlags(command);
  return command.action((which: string, flags: ServerFlags) => show(start(), which, flags));
}

async function show(context: CheContext, which: string, flags: ServerFlags): Promise<void> {
  const { ui } = context;
  await withRepositoryToRead(context, flags, async (repository, che) => {
    const state = await che.openState(repository, which, await findOptions(context, which));
    if (ui.json) tellJson(ui, state);
    else tell(ui, state);
  });
}

function tellJson(ui: Ui, { snapshot, info, objects, databases }: SavedState): void {
  const { id, time } = snapshot;
  ui.line(toJson({ message_type: 'backup', id, time, info, objects: objects.length, databases: databases.length }));
  for (const { ref, path, size } of objects) ui.line(toJson({ message_type: 'object', ...refJson(ref), path, size }));
  for (const { name, path, size } of databases) ui.line(toJson({ message_type: 'database', name, path, size }));
}

function refJson({ kind, namespace, name }: ObjectRef): Record<string, unknown> {
  return { kind: kind.kind, group: kind.group, namespace, name };
}

function tell(ui: Ui, { snapshot, info, objects, databases }: SavedState): void {
  const { name } = ui.screen;
  ui.print([`backup ${snapshot.id.slice(0, 8)}`, ...infoLines(info).map(name), '']);
  ui.table(
    [
      { header: 'Kind', cell: ({ ref }) => name(ref.kind.kind) },
      { header: 'Namespace', cell: ({ ref }) => name(ref.namespace ?? '') },
      { header: 'Name', cell: ({ ref }) => name(ref.name) },
      { header: 'Size', cell: ({ size }) => formatBytes(size) },
    ],
    objects,
  );
  ui.print([
    `${objects.length} objects`,
    ...databases.map((database) => `database ${name(database.name)}: ${formatBytes(database.size)}`),
  ]);
}

function infoLines(info: BackupInfo): string[] {
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['made at', info.creationDate],
    ['by', info.madeBy],
    ['reason', info.reason],
    ['Che', info.cheVersion],
    ['namespace', info.namespace],
    ['infrastructure', info.infrastructure],
    ['domain', info.appsDomain],
    ['cluster', info.clusterUid],
    ['Kubernetes', info.kubernetesVersion],
    ['operator', info.operator?.installedCsv],
    ['databases', info.databases?.map(({ name, by }) => `${name} (${by})`).join(', ')],
  ];
  return facts.flatMap(([title, value]) => (value ? [`${`${title}:`.padEnd(16)}${value}`] : []));
}
