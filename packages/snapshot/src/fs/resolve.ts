/** From a path to what is there, the way the kernel goes: name by name, and where a link leads. */
import type { Call, EngineError, Node } from '@restic-engine/repo-format';
import type { SnapshotEntry } from '../find.ts';
import { fsError } from './fs-error.ts';
import type { Errno } from './fs-error.ts';
import type { Branch, Folder, LatestLink } from './layout.ts';
import type { Store } from './store.ts';
import type { View } from './view.ts';

/** Something at a path. */
export type Place =
  | { readonly kind: 'folder'; readonly name: string; readonly folder: Folder }
  | { readonly kind: 'snapshot'; readonly name: string; readonly snapshot: SnapshotEntry }
  | { readonly kind: 'link'; readonly name: string; readonly link: LatestLink }
  | { readonly kind: 'node'; readonly name: string; readonly node: Node };

export interface Found {
  readonly view: View;
  readonly place: Place;
  /** Absolute, without links, `.` and `..`. */
  readonly path: string;
}

export interface ResolveOptions extends Call {
  /** Also when the last name is a link. */
  readonly follow: boolean;
  /** For the error. */
  readonly syscall: string;
}

/** As many as Linux follows (path_resolution(7)). */
const MAX_LINKS = 40;

interface Step {
  readonly name: string;
  /** The name is of the target of a link: there is no way out of its snapshot. */
  readonly inside: boolean;
}

/**
 * Finds what is at `path`. Links in a snapshot stay in it: an absolute target begins at its top, as on the machine that was
 * backed up. Rejects with `not-found` (ENOENT, ENOTDIR) and `bad-request` (ELOOP).
 */
export async function resolve(view: View, store: Store, path: string, options: ResolveOptions): Promise<Found> {
  const { syscall, follow, signal } = options;
  const fail = (errno: Errno): EngineError => fsError(errno, syscall, path);
  const places: Places = [{ kind: 'folder', name: '', folder: view.root }];
  // The next step is at the end.
  const steps: Step[] = stepsOf(path, false);
  let links = 0;
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    const here = places.at(-1) ?? places[0];
    if (!isDirectory(here)) throw fail('ENOTDIR');
    if (step.name === '.') continue;
    if (step.name === '..') {
      leave(places, step.inside);
      continue;
    }
    const next = await childOf(view, store, here, step.name, { signal });
    if (next === undefined) throw fail('ENOENT');
    const target = targetOf(next);
    if (target === undefined || (steps.length === 0 && !follow)) {
      places.push(next);
      continue;
    }
    if (target === '') throw fail('ENOENT');
    if (++links > MAX_LINKS) throw fail('ELOOP');
    if (target.startsWith('/')) goToTop(places);
    // One by one: there may be more than a call takes arguments.
    for (const each of stepsOf(target, true)) steps.push(each);
  }
  const place = places.at(-1) ?? places[0];
  const [, ...named] = places;
  return { view, place, path: `/${named.map(({ name }) => name).join('/')}` };
}

/** The places on the way, the root first. */
type Places = [Place, ...Place[]];

/** To the top of the snapshot. */
function goToTop(places: Places): void {
  while (places.at(-1)?.kind === 'node') places.pop();
}

/** The last step first. What ends with a slash must be a directory, as if there was a `.` behind it. */
function stepsOf(path: string, inside: boolean): Step[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (path.endsWith('/') || path.endsWith('/.')) names.push('.');
  return names.reverse().map((name) => ({ name, inside }));
}

function leave(places: Places, inside: boolean): void {
  if (places.length > 1 && !(inside && places.at(-1)?.kind === 'snapshot')) places.pop();
}

/** What a link says; undefined for everything else. */
export function targetOf(place: Place): string | undefined {
  if (place.kind === 'link') return place.link.target;
  return place.kind === 'node' && place.node.type === 'symlink' ? (place.node.linkTarget ?? '') : undefined;
}

/** Can there be something in it? */
export function isDirectory(place: Place): boolean {
  return place.kind === 'folder' || place.kind === 'snapshot' || (place.kind === 'node' && place.node.type === 'dir');
}

async function childOf(view: View, store: Store, place: Place, name: string, call: Call): Promise<Place | undefined> {
  if (place.kind === 'folder') {
    const branch = place.folder.entries.get(name);
    return branch && placeOf(branch, name);
  }
  const node = (await entriesOf(view, store, place, call))?.get(name);
  return node && { kind: 'node', name, node };
}

/** What is in a directory of a snapshot; undefined for everything else. */
export async function entriesOf(
  { indexed }: View,
  store: Store,
  place: Place,
  call: Call,
): Promise<ReadonlyMap<string, Node> | undefined> {
  if (place.kind === 'snapshot') return store.directory(indexed, place.snapshot.tree, call);
  return place.kind === 'node' ? store.below(indexed, place.node, place.name, call) : undefined;
}

export function placeOf(branch: Branch, name: string): Place {
  if (branch.kind === 'folder') return { kind: 'folder', name, folder: branch };
  return branch.kind === 'link'
    ? { kind: 'link', name, link: branch }
    : { kind: 'snapshot', name, snapshot: branch.snapshot };
}
