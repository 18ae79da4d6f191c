/** What belongs to a backup of Che, as tables for people: made from the table that collecting goes by. */
import { Tally } from '../../packages/che-state/src/operator/metrics.ts';
import { describeOperator } from '../../packages/che-state/src/operator/numbers.ts';
import type { Entry, Place, Selection } from '../../packages/che-state/src/collect/table.ts';
import { NEVER, TABLE } from '../../packages/che-state/src/collect/table.ts';
import { table } from './command-page.ts';

const PLACES: Readonly<Record<Place, string>> = {
  cluster: 'the cluster',
  che: "Che's namespace",
  users: 'namespaces of users',
  anywhere: 'any namespace',
};

/** How a selection finds objects. */
function foundBy({ labels = {}, names }: Selection): string {
  const byLabel = Object.entries(labels).map(([name, value]) => {
    const short = name.replace('app.kubernetes.io/', '');
    return `\`${value === true ? short : `${short}=${value}`}\``;
  });
  return [...byLabel, ...(names === undefined ? [] : ['by name'])].join(', ');
}

function rowsOf({ kind, place, takes }: Entry): string[][] {
  const facts = [kind.kind, PLACES[place]];
  if (takes.length === 0) return [[...facts, 'A', 'the installation itself', '']];
  return takes.map((selection) => [...facts, selection.class, selection.what, foundBy(selection)]);
}

/** One row for each selection. */
export function objectsPart(): string {
  return table(['kind', 'where', 'class', 'what', 'found by'], TABLE.flatMap(rowsOf));
}

/** One row for each exception, with the kinds it is for. */
export function exceptionsPart(): string {
  const all = [...new Set([...NEVER, ...TABLE.flatMap(({ except }) => except)])];
  const rows = all.map((exception) => {
    const kinds = TABLE.filter(({ except }) => except.includes(exception)).map(({ kind }) => kind.kind);
    return [exception.what, NEVER.includes(exception) ? 'all' : [...new Set(kinds)].join(', ')];
  });
  return table(['what is left out', 'of the kinds'], rows);
}

/** What the operator counts. */
export function metricsPart(): string {
  const none = new Tally();
  const tallies = { finished: none, retries: none, seconds: none, bytes: none, forgotten: none };
  const metrics = describeOperator({ leads: false, depth: 0, objects: [], tallies });
  return table(
    ['metric', 'type', 'meaning'],
    metrics.map(({ name, type, help }) => [`\`${name}\``, type, help]),
  );
}
