import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { EngineError } from '@restic-engine/repo-format';
import type { FileType } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { listAll } from '../../src/conformance/content.ts';
import { fileOf, makePlace, REPOSITORY } from './support.ts';
import type { Place } from './support.ts';

const COPIED = ['index', 'snapshot', 'data'] as const;
const PART = { offset: 10, length: 20 };

/** Everything below a folder, files with their sizes. */
function below(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.map((path) => path.slice(folder.length + 1)).sort();
}

/** Reads as a repository does: whole files, and parts of packs. */
async function read(place: Place, type: FileType, { file, content }: ReturnType<typeof fileOf>): Promise<void> {
  const range = type === 'data' ? PART : undefined;
  const bytes = await place.open().load(file, range);
  const { offset, length } = range ?? { offset: 0, length: content.length };
  expect(Buffer.compare(bytes, content.subarray(offset, offset + length))).toBe(0);
}

describe('the folder of a cache', () => {
  it("is restic's", async () => {
    await using place = await makePlace();
    const backend = place.open();
    const files = COPIED.map((type, seed) => fileOf(type, 1000, seed));
    for (const { file, content } of files) await backend.save(file, [content.subarray(0, 400), content.subarray(400)]);
    const copies = files.map(({ file }) => place.copyOf(file).slice(place.folder.length + 1));
    expect(below(place.folder)).toEqual(['CACHEDIR.TAG', join(REPOSITORY, 'version'), ...copies].sort());
    expect(readFileSync(join(place.folder, 'CACHEDIR.TAG'), 'latin1')).toBe(
      'Signature: 8a477f597d28d172789f06886806bc55\n',
    );
    expect(readFileSync(join(place.folder, REPOSITORY, 'version'), 'latin1')).toBe('1');
    for (const { file, content } of files) {
      expect(place.has(file, content)).toBe(true);
      expect(statSync(place.copyOf(file)).mode & 0o777).toBe(0o600);
      expect(statSync(dirname(place.copyOf(file))).mode & 0o777).toBe(0o700);
    }
    expect(statSync(place.folder).mode & 0o777).toBe(0o700);
    expect(place.notices).toEqual([]);
  });

  it('is not made before something is read or written', async () => {
    await using place = await makePlace();
    await place.open()[Symbol.asyncDispose]();
    expect(existsSync(place.folder)).toBe(false);
  });

  it('shows when it was used last', async () => {
    await using place = await makePlace();
    const folder = join(place.folder, REPOSITORY);
    const { file, content } = fileOf('index', 100, 1);
    await place.open().save(file, [content]);
    utimesSync(folder, 1_000_000, 1_000_000);
    await read(place, 'index', { file, content });
    expect(Math.abs(statSync(folder).mtimeMs - Date.now())).toBeLessThan(60_000);
  });

  it.each(['2', 'x', '10', ' 1'])('of version %j is left alone', async (version) => {
    await using place = await makePlace();
    const each = fileOf('index', 100, 1);
    mkdirSync(join(place.folder, REPOSITORY), { recursive: true });
    writeFileSync(join(place.folder, REPOSITORY, 'version'), version);
    const backend = place.open();
    await backend.save(each.file, [each.content]);
    await backend.load(each.file);
    await listAll(backend, 'index');
    expect(below(place.folder)).toEqual([join(REPOSITORY, 'version')]);
    expect(place.notices.map(({ code }) => code)).toEqual(['unsupported']);
  });

  it.each(['', '0'])('of which the version %j is being written is taken', async (version) => {
    await using place = await makePlace();
    mkdirSync(join(place.folder, REPOSITORY), { recursive: true });
    writeFileSync(join(place.folder, REPOSITORY, 'version'), version);
    const each = fileOf('index', 100, 1);
    await place.open().save(each.file, [each.content]);
    expect(place.has(each.file, each.content)).toBe(true);
    expect(readFileSync(join(place.folder, REPOSITORY, 'version'), 'latin1')).toBe('1');
  });
});

describe.runIf(process.platform !== 'win32')('the version of a cache', () => {
  const odd = { 'a pipe that nobody writes to': ['mkfifo'], 'a file without an end': ['ln', '-s', '/dev/zero'] };

  it.each(Object.entries(odd))('that is %s holds up nothing', async (_, [command = '', ...words]) => {
    await using place = await makePlace();
    mkdirSync(join(place.folder, REPOSITORY), { recursive: true });
    execFileSync(command, [...words, join(place.folder, REPOSITORY, 'version')]);
    const each = fileOf('index', 100, 1);
    const backend = place.open();
    await backend.save(each.file, [each.content]);
    expect(Buffer.compare(await backend.load(each.file), each.content)).toBe(0);
  });
});

describe('copies', () => {
  it.each(COPIED)('of type %s are made when a file is read, and then read', async (type) => {
    await using place = await makePlace();
    const each = fileOf(type, 100_000, 7);
    await place.store.save(each.file, [each.content]);
    await read(place, type, each);
    expect(place.calls).toEqual([`load ${type}`]);
    expect(place.has(each.file, each.content)).toBe(true);
    await read(place, type, each);
    expect(place.calls).toHaveLength(1);
  });

  it.each(COPIED)('of type %s are made when a file is written, and then read', async (type) => {
    await using place = await makePlace();
    const each = fileOf(type, 100_000, 8);
    await place.open().save(each.file, [each.content]);
    await read(place, type, each);
    expect(place.calls).toEqual([`save ${type}`]);
  });

  it('are never made of data, keys, locks and the config', async () => {
    await using place = await makePlace();
    const backend = place.open();
    for (const type of ['config', 'key', 'lock', 'data'] as const) {
      const { file, content } = fileOf(type, 100, 1);
      const handle = { type, name: type === 'config' ? '' : file.name };
      await backend.save(handle, [content]);
      await backend.load(handle);
      await backend.load(handle, PART);
      await backend.stat(handle);
      await listAll(backend, type);
      await backend.remove(handle);
    }
    expect(existsSync(place.folder) ? below(place.folder) : []).toEqual(
      ['CACHEDIR.TAG', join(REPOSITORY, 'version')].sort(),
    );
  });

  it('of packs are not read when all of a pack is wanted', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', 100, 1);
    const backend = place.open();
    await backend.save(file, [content]);
    await backend.load(file);
    expect(place.calls).toEqual(['save data', 'load data']);
  });

  it('are not made of what is too short to be sound: restic takes such a copy for damaged', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('index', 32, 1);
    await place.open().save(file, [content]);
    expect(existsSync(place.copyOf(file))).toBe(false);
  });

  it.each(COPIED)('of type %s are not made when the store refuses the file', async (type) => {
    await using place = await makePlace();
    const { file, content } = fileOf(type, 100, 1);
    const error = new EngineError('denied', 'no');
    const backend = place.open({ faults: [{ effect: { kind: 'fail-after', error } }] });
    await expect(backend.save(file, [content])).rejects.toBe(error);
    expect(existsSync(place.copyOf(file))).toBe(false);
    expect(below(join(place.folder, REPOSITORY))).toEqual(['version']);
  });

  it.each(COPIED)('of type %s go when the file is removed, and when it turns out to be gone', async (type) => {
    await using place = await makePlace();
    const { file, content } = fileOf(type, 100, 1);
    const backend = place.open();
    await backend.save(file, [content]);
    await backend.remove(file);
    expect(existsSync(place.copyOf(file))).toBe(false);
    await backend.save(file, [content]);
    await place.store.remove(file);
    await expect(backend.stat(file)).rejects.toMatchObject({ code: 'not-found' });
    expect(existsSync(place.copyOf(file))).toBe(false);
  });

  it('stay when removing fails', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('index', 100, 1);
    const backend = place.open({
      faults: [{ when: ({ method }) => method === 'remove', effect: { kind: 'fail-before' } }],
    });
    await backend.save(file, [content]);
    await expect(backend.remove(file)).rejects.toMatchObject({ code: 'io' });
    expect(place.has(file, content)).toBe(true);
  });
});

describe('copies of what a listing does not show', () => {
  /** Two files of which copies were made an hour ago; the first is in the store no more. */
  async function makeStale(place: Place, type: FileType): Promise<ReturnType<typeof fileOf>[]> {
    const files = [1, 2].map((seed) => fileOf(type, 100, seed));
    for (const { file, content } of files) {
      await place.open().save(file, [content]);
      const past = new Date(Date.now() - 3_600_000);
      utimesSync(place.copyOf(file), past, past);
    }
    for (const { file } of files.slice(0, 1)) await place.store.remove(file);
    return files;
  }

  const present = (place: Place, files: ReturnType<typeof fileOf>[]): boolean[] =>
    files.map(({ file }) => existsSync(place.copyOf(file)));

  it.each(COPIED)('go when type %s was listed to its end', async (type) => {
    await using place = await makePlace();
    const files = await makeStale(place, type);
    expect(await listAll(place.open(), type)).toHaveLength(1);
    expect(present(place, files)).toEqual([false, true]);
  });

  it('stay when the listing fails, or is given up', async () => {
    await using place = await makePlace();
    const files = await makeStale(place, 'index');
    const failing = place.open({ faults: [{ effect: { kind: 'fail-after', names: 0 } }] });
    await expect(listAll(failing, 'index')).rejects.toMatchObject({ code: 'io' });
    for await (const _ of place.open().list('index')) break;
    expect(present(place, files)).toEqual([true, true]);
  });

  it('stay when they are younger than the listing: somebody is writing', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('snapshot', 100, 3);
    const backend = place.open();
    const listing = backend.list('snapshot');
    await place.store.save(fileOf('snapshot', 100, 4).file, [fileOf('snapshot', 100, 4).content]);
    for await (const _ of listing) {
      await place.open().save(file, [content]);
      await place.store.remove(file);
    }
    expect(place.has(file, content)).toBe(true);
  });

  it('go when the packs that are needed are told', async () => {
    await using place = await makePlace();
    const files = await makeStale(place, 'data');
    const needed = files[1]?.file.name;
    const young = fileOf('data', 100, 9);
    await place.open().save(young.file, [young.content]);
    const minuteAgo = Date.now() - 60_000;
    await place.open().keepPacks((name) => name === needed, minuteAgo);
    expect(present(place, [...files, young])).toEqual([false, true, true]);
  });

  it('go with what a crash left behind long ago', async () => {
    await using place = await makePlace();
    const [, kept] = await makeStale(place, 'index');
    const folder = dirname(place.copyOf(kept?.file ?? fileOf('index', 1, 1).file));
    for (const [name, age] of [
      ['tmp-123', 2],
      ['tmp-456', 0.5],
      ['other', 2],
    ] as const) {
      const time = new Date(Date.now() - age * 86_400_000);
      writeFileSync(join(folder, name), 'half');
      utimesSync(join(folder, name), time, time);
    }
    await listAll(place.open(), 'index');
    expect(readdirSync(folder).sort()).toEqual([kept?.file.name ?? '', 'other', 'tmp-456'].sort());
    expect(lstatSync(folder).isDirectory()).toBe(true);
  });
});
