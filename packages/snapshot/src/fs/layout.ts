/** Where snapshots appear: folders that are made up from templates, as those of `restic mount`. */
import { compareTimestamps, EngineError, shortId } from '@restic-engine/repo-format';
import type { Timestamp } from '@restic-engine/repo-format';
import type { SnapshotEntry } from '../find.ts';
import { formatByLayout } from './go-layout.ts';

/** How paths of snapshots are made. */
export interface LayoutOptions {
  /**
   * Paths with `%i` for the beginning of the id, `%I` for the id, `%u` for the user, `%h` for the host, `%t` for a tag
   * (one path for each, none for a snapshot without tags) and `%T` for the time.
   * @default ['ids/%i', 'snapshots/%T', 'hosts/%h/%T', 'tags/%t/%T']
   */
  readonly pathTemplates?: readonly string[] | undefined;
  /** How `%T` writes Mon Jan 2 15:04:05 -0700 MST 2006. @default '2006-01-02T15:04:05Z07:00' */
  readonly timeTemplate?: string | undefined;
}

/** What is in a made-up folder. */
export type Branch = Folder | SnapshotRoot | LatestLink;

export interface Folder {
  readonly kind: 'folder';
  readonly entries: Map<string, Branch>;
  /** Of the newest snapshot in it or below; undefined without any. */
  time: Timestamp | undefined;
}

export interface SnapshotRoot {
  readonly kind: 'snapshot';
  readonly snapshot: SnapshotEntry;
  readonly time: Timestamp;
}

export interface LatestLink {
  readonly kind: 'link';
  /** A name in the same folder. */
  readonly target: string;
  readonly time: Timestamp;
}

const PATH_TEMPLATES = ['ids/%i', 'snapshots/%T', 'hosts/%h/%T', 'tags/%t/%T'];
const TIME_TEMPLATE = '2006-01-02T15:04:05Z07:00';
const LATEST = 'latest';

/** Throws `bad-request` for a time template with a separator in it. */
export function checkLayout({ timeTemplate = '' }: LayoutOptions): void {
  if (/[/\\]/.test(timeTemplate)) {
    throw new EngineError('bad-request', 'a time template must not have slashes or backslashes', { timeTemplate });
  }
}

/** The folder with all others in it. Of snapshots that would have the same path the later ones get `-1`, `-2`, …. */
export function makeLayout(snapshots: Iterable<SnapshotEntry>, options: LayoutOptions): Folder {
  const { pathTemplates = PATH_TEMPLATES, timeTemplate = TIME_TEMPLATE } = options;
  const root = newFolder();
  const sorted = [...snapshots].toSorted((a, b) => compareTimestamps(a.time, b.time) || (a.id < b.id ? -1 : 1));
  for (const snapshot of sorted) {
    const time = formatByLayout(timeTemplate, snapshot.time);
    for (const template of pathTemplates) {
      for (const path of expand(template, snapshot, time)) place(root, path, snapshot);
    }
  }
  return root;
}

interface TemplatePath {
  readonly path: string;
  /** The time is a name of its own, so that one of them is the latest. */
  readonly endsWithTime: boolean;
}

function expand(template: string, snapshot: SnapshotEntry, time: string): TemplatePath[] {
  const { id, username = '', hostname = '', tags = [] } = snapshot;
  const values: Readonly<Record<string, readonly string[]>> = {
    i: [shortId(id)],
    I: [id],
    u: [username],
    h: [hostname],
    t: tags.map((tag) => tag.replaceAll('/', '_')),
    T: [time],
  };
  let paths = [''];
  for (const [whole, letter] of template.matchAll(/%(.)|[^%]+/gsu)) {
    const pieces = letter === undefined ? [whole] : (values[letter] ?? [letter]);
    paths = paths.flatMap((path) => pieces.map((piece) => path + piece));
  }
  return paths.map((path) => ({ path, endsWithTime: /(?:^|\/)%T$/.test(template) }));
}

/** A hostile snapshot may have any name for its host. */
function namesIn(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && !name.includes('\0'));
  return names.map((name) => (name === '.' || name === '..' ? '_'.repeat(name.length) : name));
}

function place(root: Folder, { path, endsWithTime }: TemplatePath, snapshot: SnapshotEntry): void {
  const names = namesIn(path);
  const last = names.pop();
  const folders = last === undefined ? undefined : foldersTo(root, names);
  const folder = folders?.at(-1);
  if (last === undefined || folders === undefined || folder === undefined) return;
  let name = last;
  for (let n = 1; folder.entries.has(name); n++) name = `${last}-${n}`;
  const { time } = snapshot;
  folder.entries.set(name, { kind: 'snapshot', snapshot, time });
  for (const above of folders) above.time = time;
  const latest = folder.entries.get(LATEST);
  if (endsWithTime && (latest === undefined || latest.kind === 'link')) {
    folder.entries.set(LATEST, { kind: 'link', target: name, time });
  }
}

/** The folders on a path, made where they are missing; undefined when there is a snapshot in the way. */
function foldersTo(root: Folder, names: readonly string[]): Folder[] | undefined {
  const folders = [root];
  let folder = root;
  for (const name of names) {
    const found = folder.entries.get(name) ?? newFolder();
    if (found.kind !== 'folder') return undefined;
    folder.entries.set(name, found);
    folders.push(found);
    folder = found;
  }
  return folders;
}

function newFolder(): Folder {
  return { kind: 'folder', entries: new Map(), time: undefined };
}
