/** Small repositories with a past: several snapshots, some of which are forgotten. */
import { backup, check, initRepository, listSnapshots, localBackend, memoryBackend, objects } from 'restic-engine';
import type { Backend, CheckResult, Id, Repository, Source } from 'restic-engine';
import { CHEAPEST, filesOf, openStore } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { all } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';

const DAYS = 5;

/** What is backed up on a day, and when. Who does it again makes the same trees. */
export function backupOfDay(day: number): { source: Source; time: string } {
  const time = `2026-01-0${day + 1}T12:00:00Z`;
  const random = randomFrom(77);
  const kept = random.bytes(30_000);
  const days = Array.from({ length: DAYS }, () => random.bytes(20_000));
  const mtime = '2026-01-01T00:00:00Z';
  const entries = [
    { path: 'kept', content: kept, mtime },
    { path: 'a/b/today', content: days[day]!, mtime },
    { path: 'a/first day', content: days[0]!, mtime },
    { path: `a/text ${day}`, content: `of day ${day} `.repeat(1000), mtime },
  ];
  return { source: objects(entries), time };
}

/** A repository with five snapshots that share some of their content, each with packs of its own. */
export async function makeHistory(version: 1 | 2 = 2): Promise<StoredFile[]> {
  const store = memoryBackend();
  await initRepository({ backend: store, password: PASSWORD, kdf: CHEAPEST, version });
  const repository = await openStore(store);
  for (let day = 0; day < DAYS; day++) {
    await backup(repository, { ...backupOfDay(day), tags: [String(day)] });
  }
  return filesOf(store);
}

/** Removes the snapshots of these days. */
export async function forgetDays(repository: Repository, days: readonly number[]): Promise<void> {
  for (const { id, tags } of await all(listSnapshots(repository, { onBroken: () => undefined }))) {
    if (days.includes(Number(tags?.[0]))) await repository.removeFile('snapshot', id);
  }
}

/** Everything a check can find. */
export async function checkAll(store: Backend): Promise<CheckResult> {
  return check(await openStore(store), { readData: true, lock: false });
}

/** The packs that the index names, and what of. */
export async function packsByType(store: Backend): Promise<{ data: Id[]; tree: Id[] }> {
  const indexed = await (await openStore(store)).loadIndex();
  const found = { data: new Set<Id>(), tree: new Set<Id>() };
  for (const { type, pack } of indexed.table.entries()) found[type].add(pack);
  return { data: [...found.data], tree: [...found.tree] };
}

/** Runs `work` for every item, several at once: most of the time is spent waiting for locks to settle. */
export async function forAll<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: 24 }, worker));
}

/** Writes the files into a folder, for programs that know folders. */
export async function copyToFolder(files: readonly StoredFile[], path: string): Promise<void> {
  const folder = localBackend(path);
  await folder.create();
  for (const { type, name, bytes } of files) await folder.save({ type, name }, [bytes]);
}
