// A machine as the examples see it: their folders, repositories and IDs, below a temporary folder.
import { cpSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { addKey, backup, files, forget, listSnapshots, objects } from 'restic-engine';
import { CHEAP, initAt, openAt } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';

export interface Sandbox {
  readonly path: string;
  /** What stands in the examples, and what is meant by it here. */
  readonly names: ReadonlyMap<string, string>;
}

const FILES: Readonly<Record<string, string>> = {
  'etc/backup.key': `${PASSWORD}\n`,
  'etc/second.key': 'another one\n',
  'etc/backup.exclude': '*.iso\n',
  'etc/backup.htpasswd': 'ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n',
  'home/ann/notes.txt': 'remember\n',
  'home/ann/letters/a.pdf': 'Dear\n',
  'home/ann/linux.iso': 'large',
  'config/restic-engine/nightly.toml': '[global]\nrepo = "/srv/backups"\n',
};
const FOLDERS = ['srv/repositories', 'tmp', 'etc/bash_completion.d', 'usr/local/share/man/man1', 'cache'];

/** Makes the machine in a folder; {@link copySandbox} gives each test one of its own. */
export async function makeSandbox(path: string): Promise<Sandbox> {
  for (const folder of FOLDERS) mkdirSync(join(path, folder), { recursive: true });
  for (const [name, content] of Object.entries(FILES)) {
    mkdirSync(join(path, dirname(name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  mkdirSync(join(path, 'bin'));
  writeFileSync(join(path, 'bin/pg_dump'), '#!/bin/sh\necho "-- $*"\n', { mode: 0o755 });
  await initAt(join(path, 'srv/second'));
  await initAt(join(path, 'srv/old'), { version: 1 });
  await initAt(join(path, 'srv/backups'));
  const names = await fillRepository(join(path, 'srv/backups'), join(path, 'home/ann'));
  for (const name of ['second', 'old', 'backups']) removeEmptyFolders(join(path, 'srv', name, 'data'));
  return { path, names };
}

/** Two snapshots, data that was forgotten, and a second key. */
async function fillRepository(repo: string, home: string): Promise<Map<string, string>> {
  await using repository = await openAt(repo, { workers: 0 });
  const save = (time: string, entries: Readonly<Record<string, string>>): Promise<unknown> =>
    backup(repository, {
      source: objects(Object.entries(entries).map(([name, content]) => ({ path: `/home/ann/${name}`, content }))),
      hostname: 'web1',
      tags: ['nightly'],
      time: new Date(time),
    });
  await save('2024-01-01T10:00:00Z', { 'lost.txt': 'forgotten by mistake' });
  const [lost] = await Array.fromAsync(listSnapshots(repository));
  await forget(repository, { ids: [lost?.id ?? ''] });
  await save('2024-02-01T10:00:00Z', { 'notes.txt': 'remember', 'linux.iso': 'large' });
  await save('2024-03-01T10:00:00Z', { 'notes.txt': 'remember all', 'a.pdf': 'Dear' });
  await backup(repository, { source: files({ targets: [home] }), hostname: 'web1', time: new Date('2024-02-15') });
  const snapshots = await Array.fromAsync(listSnapshots(repository));
  const idOf = (time: string): string => snapshots.find((each) => each.time.startsWith(time))?.id ?? '';
  const packs = await Array.fromAsync(repository.list('data'));
  const key = await addKey(repository, { password: 'a lost one', kdf: CHEAP });
  return new Map([
    ['5845b002', idOf('2024-02-01')],
    ['2ab627a6', idOf('2024-03-01')],
    ['32615a07402a8c31adeed929afbbc3a7d7b1cb63927fd28023e502621df16bd9', packs[0]?.name ?? ''],
    ['32615a07', packs[0]?.name ?? ''],
    ['eb78040b', key],
  ]);
}

/** There are 256 of them in a new repository, which are made again when they are needed. */
function removeEmptyFolders(path: string): void {
  for (const name of readdirSync(path)) if (readdirSync(join(path, name)).length === 0) rmdirSync(join(path, name));
}

/** A copy in another folder. */
export function copySandbox({ path, names }: Sandbox, to: string): Sandbox {
  cpSync(path, to, { recursive: true });
  return { path: to, names };
}

const OF_MACHINE = /^\/(?:srv|etc|tmp|usr)\//;

/** A word of an example as it is meant in the sandbox; `home`: files of the machine, not of a snapshot, are named. */
export function translate(word: string, { path, names }: Sandbox, home: boolean): string {
  if (OF_MACHINE.test(word) || (home && word.startsWith('/home/'))) return join(path, word);
  // Any free port.
  if (/^127\.0\.0\.1:\d+$/.test(word)) return '127.0.0.1:0';
  return [...names].reduce((text, [id, meant]) => text.replaceAll(new RegExp(`\\b${id}\\b`, 'g'), meant), word);
}
