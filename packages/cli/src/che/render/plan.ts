/** What a restore would do, for people and programs. */
import type { PlannedAction, PlannedObject, RestorePlan } from '@restic-engine/che-state';
import { formatBytes } from '../../render/bytes.ts';
import { toJson } from '../../render/json.ts';
import type { Screen } from '../../render/screen.ts';
import type { Ui } from '../../ui.ts';
import { refText } from './ref.ts';

const WORDS: Readonly<Record<PlannedAction, string>> = {
  create: 'to create',
  replace: 'to change',
  remove: 'to remove',
  unchanged: 'as in the backup',
  keep: 'not in the backup, left alone',
  skip: 'of kinds that the cluster does not know',
};

const MARKS: Readonly<Partial<Record<PlannedAction, string>>> = { create: '+', replace: 'M', remove: '-', skip: '?' };

/** Tells of the plan, and with `each` of every object for which there is something to say. */
export function tellPlan(ui: Ui, plan: RestorePlan, { each }: { readonly each: boolean }): void {
  const objects = each ? plan.objects.filter(({ action }) => MARKS[action] !== undefined) : [];
  if (ui.json) {
    for (const object of objects) ui.line(toJson({ message_type: 'planned', ...plannedJson(object) }));
    ui.line(toJson(planJson(plan)));
    return;
  }
  const { name } = ui.screen;
  ui.print([
    ...objects.map(({ action, ref }) => `${MARKS[action] ?? ' '}    ${name(refText(ref))}`),
    ...planLines(plan, ui.screen),
  ]);
}

/** The plan in short. */
function planLines({ objects, databases, mismatches, recreate }: RestorePlan, { name }: Screen): string[] {
  const counts = countActions(objects);
  return [
    ...mismatches.map(
      ({ what, backup, target }) => `Another ${what} than that of the backup: ${name(target)}, not ${name(backup)}`,
    ),
    ...(recreate ? ['The CheCluster is deleted first, with everything that belongs to it'] : []),
    ...[...counts].map(([action, count]) => `Objects ${WORDS[action]}: ${count}`),
    ...databases.map((database) => `Database to load: ${name(database.name)} (${formatBytes(database.bytes)})`),
  ];
}

/** How many objects there are for each action, in the order of importance, without noughts. */
function countActions(objects: readonly PlannedObject[]): Map<PlannedAction, number> {
  const counts = new Map<PlannedAction, number>();
  for (const action of ['create', 'replace', 'remove', 'unchanged', 'keep', 'skip'] as const) {
    const count = objects.filter((object) => object.action === action).length;
    if (count > 0) counts.set(action, count);
  }
  return counts;
}

function plannedJson({ ref, action, path }: PlannedObject): Record<string, unknown> {
  return { action, kind: ref.kind.kind, namespace: ref.namespace, name: ref.name, path };
}

function planJson(plan: RestorePlan): Record<string, unknown> {
  const { snapshotId, info, target, mismatches, databases, recreate, stages, objects } = plan;
  return {
    message_type: 'plan',
    snapshot_id: snapshotId,
    che_version: info.cheVersion,
    target,
    mismatches,
    objects: Object.fromEntries(countActions(objects)),
    databases,
    recreate,
    stages,
  };
}
