/** How two versions of an object differ. */
import { isRecord } from '../objects/fields.ts';
import type { KubeObject } from '../objects/object.ts';
import { maskSecrets } from './mask.ts';

/** A value that is only on one side, or differs: with what is in it, but never with a secret. */
export interface FieldChange {
  /** Such as `spec.template.components[name=tools].container.image`, or `data["tls.crt"]`. */
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** undefined where it was added. */
  readonly before: unknown;
  /** undefined where it was removed. */
  readonly after: unknown;
}

/** Fields by which Kubernetes and devfiles tell the items of a list from each other. */
const KEYS = ['name', 'id'] as const;

/**
 * What must be done to `before` to make it `after`, in order of the paths. Items of lists that have names are compared by
 * name, wherever they are; secrets are masked, so that only which one differs can be seen.
 */
export function diffObjects(before: KubeObject, after: KubeObject): FieldChange[] {
  const changes: FieldChange[] = [];
  compare('', { raw: before, shown: maskSecrets(before) }, { raw: after, shown: maskSecrets(after) }, changes);
  return changes;
}

/** A value, and the same with secrets masked: of the same shape. */
interface Side {
  readonly raw: unknown;
  readonly shown: unknown;
}

function compare(path: string, before: Side, after: Side, changes: FieldChange[]): void {
  if (before.raw === after.raw) return;
  if (before.raw === undefined || after.raw === undefined) {
    const change = before.raw === undefined ? 'added' : 'removed';
    changes.push({ path, change, before: before.shown, after: after.shown });
    return;
  }
  const old = partsOf(before, after);
  const new_ = partsOf(after, before);
  if (old === undefined || new_ === undefined) {
    changes.push({ path, change: 'changed', before: before.shown, after: after.shown });
    return;
  }
  for (const name of [...new Set([...old.keys(), ...new_.keys()])].toSorted(byPath)) {
    const inner = name.startsWith('[') || path === '' ? `${path}${name}` : `${path}.${name}`;
    compare(inner, old.get(name) ?? NOTHING, new_.get(name) ?? NOTHING, changes);
  }
}

const NOTHING: Side = { raw: undefined, shown: undefined };

/** The parts of a value by how they are written in a path; undefined for what has none, or not of the kind of `other`. */
function partsOf(side: Side, other: Side): ReadonlyMap<string, Side> | undefined {
  const { raw, shown } = side;
  if (Array.isArray(raw) && Array.isArray(other.raw)) {
    const key = KEYS.find((field) => isKeyOf(field, raw) && isKeyOf(field, other.raw));
    return new Map(
      raw.map((item: unknown, at) => {
        const name = key !== undefined && isRecord(item) ? `${key}=${String(item[key])}` : String(at);
        return [`[${name}]`, { raw: item, shown: Array.isArray(shown) ? shown[at] : undefined }];
      }),
    );
  }
  if (!isRecord(raw) || !isRecord(other.raw)) return undefined;
  return new Map(
    Object.entries(raw).map(([name, value]) => [
      /^[A-Za-z_$][\w$-]*$/.test(name) ? name : `[${JSON.stringify(name)}]`,
      { raw: value, shown: isRecord(shown) ? shown[name] : undefined },
    ]),
  );
}

/** Has every item this field, each another text in it? */
function isKeyOf(field: string, list: unknown): boolean {
  if (!Array.isArray(list)) return false;
  const names = list.map((item: unknown) => (isRecord(item) ? item[field] : undefined));
  return names.every((name) => typeof name === 'string') && new Set(names).size === names.length;
}

const NUMBER = /^\[(\d+)\]$/;

function byPath(a: string, b: string): number {
  const [, first] = NUMBER.exec(a) ?? [];
  const [, second] = NUMBER.exec(b) ?? [];
  if (first !== undefined && second !== undefined) return Number(first) - Number(second);
  return a < b ? -1 : a > b ? 1 : 0;
}
