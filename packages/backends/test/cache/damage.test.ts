import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { listAll } from '../../src/conformance/content.ts';
import { fileOf, makePlace, REPOSITORY } from './support.ts';
import type { Place } from './support.ts';

// Whatever is in the place of a copy: the caller gets what the store has, and the next reader a sound copy.

const SIZE = 50_000;
const PART = { offset: 1000, length: 2000 };

/** What is wrong with a copy, made at `path` where a sound one is. */
const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  'is cut short': (path) => truncateSync(path, 900),
  'is cut short within the part': (path) => truncateSync(path, 1500),
  'is empty': (path) => truncateSync(path, 0),
  'is a link to the sound content': (path) => {
    const elsewhere = `${path}-elsewhere`;
    writeFileSync(elsewhere, readFileSync(path));
    unlinkSync(path);
    symlinkSync(elsewhere, path);
  },
  'is a link to itself': (path) => {
    unlinkSync(path);
    symlinkSync(path, path);
  },
  'is an empty folder': (path) => {
    unlinkSync(path);
    mkdirSync(path);
  },
  'is a folder with files': (path) => {
    unlinkSync(path);
    mkdirSync(join(path, 'deep'), { recursive: true });
    writeFileSync(join(path, 'deep', 'file'), 'x');
  },
};

/** Of packs these are seen by whoever opens the blobs. */
const CHANGES: Readonly<Record<string, (path: string) => void>> = {
  'has a bit flipped': (path) => {
    const bytes = readFileSync(path);
    bytes[1500] = (bytes[1500] ?? 0) ^ 4;
    writeFileSync(path, bytes);
  },
  'is another file': (path) => writeFileSync(path, fileOf('index', SIZE, 99).content),
};

const LONGER = (path: string): void => appendFileSync(path, 'more');

const UNIX: Readonly<Record<string, (path: string) => void>> = {
  'is a pipe that nobody writes to': (path) => {
    unlinkSync(path);
    execFileSync('mkfifo', [path]);
  },
  'is a hole of many gigabytes': (path) => truncateSync(path, 64 * 2 ** 30),
  'may not be read': (path) => chmodSync(path, 0),
};

const all = { ...DAMAGES, ...CHANGES, 'is longer': LONGER, ...(process.platform === 'win32' ? {} : UNIX) };

describe.each(['index', 'snapshot'] as const)('a copy of type %s', (type) => {
  it.each(Object.entries(all))('that %s is fetched again', async (_, damage) => {
    await using place = await makePlace();
    const { file, content } = fileOf(type, SIZE, 1);
    await place.open().save(file, [content]);
    damage(place.copyOf(file));
    // Who may read everything, reads this as well.
    const readable = damage === UNIX['may not be read'] && process.getuid?.() === 0;
    for (let run = 0; run < 2; run++) {
      expect(Buffer.compare(await place.open().load(file), content)).toBe(0);
    }
    expect(place.calls).toEqual([`save ${type}`, ...(readable ? [] : [`load ${type}`])]);
    expect(place.has(file, content)).toBe(true);
    expect(place.notices).toEqual([]);
  });
});

it.each(Object.entries(DAMAGES))('a copy that %s is replaced when the file is written', async (_, damage) => {
  await using place = await makePlace();
  const { file, content } = fileOf('index', SIZE, 1);
  await place.open().save(file, [content]);
  damage(place.copyOf(file));
  await place.open().save(file, [content]);
  expect(place.has(file, content)).toBe(true);
  expect(lstatSync(place.copyOf(file)).isFile()).toBe(true);
  expect(place.notices).toEqual([]);
});

describe('a copy of a pack', () => {
  const { 'is a pipe that nobody writes to': pipe } = UNIX;
  const seen = { ...DAMAGES, ...(process.platform === 'win32' || !pipe ? {} : { 'is a pipe': pipe }) };

  it.each(Object.entries(seen))('that %s is fetched again', async (_, damage) => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.open().save(file, [content]);
    damage(place.copyOf(file));
    for (let run = 0; run < 2; run++) {
      const part = await place.open().load(file, PART);
      expect(Buffer.compare(part, content.subarray(1000, 3000))).toBe(0);
    }
    expect(place.calls).toEqual(['save data', 'load data']);
    expect(place.has(file, content)).toBe(true);
    expect(place.notices).toEqual([]);
  });

  it.each(Object.entries(CHANGES))('that %s is dropped when the reader says so', async (_, damage) => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.open().save(file, [content]);
    damage(place.copyOf(file));
    const backend = place.open();
    expect(Buffer.compare(await backend.load(file, PART), content.subarray(1000, 3000))).not.toBe(0);
    expect(Buffer.compare(await backend.load(file, PART, { fresh: true }), content.subarray(1000, 3000))).toBe(0);
    expect(Buffer.compare(await backend.load(file, PART), content.subarray(1000, 3000))).toBe(0);
    expect(place.has(file, content)).toBe(true);
    expect(place.calls).toEqual(['save data', 'load data', 'load data']);
  });

  it('is not made again and again where copies break', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.store.save(file, [content]);
    const backend = place.open();
    for (let at = 0; at < 10; at++) {
      await backend.load(file, PART);
      await backend.load(file, PART, { fresh: true });
    }
    // Two copies, the ten that asked for the store, and the eight that did without a copy.
    expect(place.calls).toHaveLength(20);
    await backend.load(file, PART);
    expect(place.has(file, content)).toBe(false);
  });

  it('is not made of a pack that is damaged in the store or arrives damaged', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.store.save(file, [content]);
    const backend = place.open({ faults: [{ nth: 1, effect: { kind: 'flip', offset: -1 } }] });
    expect(Buffer.compare(await backend.load(file, PART), content.subarray(1000, 3000))).toBe(0);
    expect(place.has(file, content)).toBe(false);
    // From here on parts will do.
    await backend.load(file, PART);
    await backend.load(file, PART);
    expect(place.calls).toHaveLength(3);
  });

  it('leaves saying what is wrong with a range to the store', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.store.save(file, [content]);
    const backend = place.open();
    const beyond = { offset: SIZE - 1, length: 2 };
    await expect(backend.load(file, beyond)).rejects.toMatchObject({ code: 'out-of-range' });
    await expect(backend.load(file, beyond)).rejects.toMatchObject({ code: 'out-of-range' });
    await place.store.remove(file);
    await expect(place.open().load(fileOf('data', 10, 2).file, PART)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('is done without when the store will not give a whole pack', async () => {
    await using place = await makePlace();
    const { file, content } = fileOf('data', SIZE, 1);
    await place.store.save(file, [content]);
    const error = new EngineError('too-large', 'far too large');
    const backend = place.open({ faults: [{ nth: 1, effect: { kind: 'fail-before', error } }] });
    for (let at = 0; at < 3; at++) {
      expect(Buffer.compare(await backend.load(file, PART), content.subarray(1000, 3000))).toBe(0);
    }
    expect(place.calls).toHaveLength(4);
  });
});

/** What makes a folder impossible to write. */
const OBSTACLES: Readonly<Record<string, (place: Place) => void>> = {
  'its folder is a file': ({ folder }) => writeFileSync(folder, 'in the way'),
  'one of its folders is a file': ({ folder }) => {
    mkdirSync(join(folder, REPOSITORY), { recursive: true });
    for (const name of ['data', 'index', 'snapshots']) writeFileSync(join(folder, REPOSITORY, name), 'in the way');
  },
};

/** The differences between what a store behind the cache gives and what it was given. */
async function use({ store, open }: Place): Promise<string[]> {
  const wrong: string[] = [];
  const backend = open();
  for (const [seed, type] of (['index', 'snapshot', 'data'] as const).entries()) {
    const [read, written] = [fileOf(type, SIZE, seed), fileOf(type, SIZE, seed + 10)];
    await store.save(read.file, [read.content]);
    await backend.save(written.file, [written.content]);
    for (const { file, content } of [read, written, read, written]) {
      const range = type === 'data' ? PART : undefined;
      const expected = range === undefined ? content : content.subarray(1000, 3000);
      if (Buffer.compare(await backend.load(file, range), expected) !== 0) wrong.push(`load ${type}`);
    }
    if ((await listAll(backend, type)).length !== 2) wrong.push(`list ${type}`);
    await backend.remove(read.file);
  }
  await backend.keepPacks(() => false, Date.now());
  return wrong;
}

describe('a cache that cannot be written', () => {
  it.each(Object.entries(OBSTACLES))('because %s', async (_, prepare) => {
    await using place = await makePlace();
    prepare(place);
    expect(await use(place)).toEqual([]);
    expect(place.notices).toHaveLength(1);
  });

  it.runIf(process.platform === 'linux')('because the system does not allow it', async () => {
    await using place = await makePlace('/sys/cache');
    expect(await use(place)).toEqual([]);
    expect(place.notices.map(({ code }) => code)).toEqual(['denied']);
  });

  it('is still read', async () => {
    await using place = await makePlace();
    const [copied, other] = [fileOf('index', SIZE, 1), fileOf('index', SIZE, 2)];
    await place.open().save(copied.file, [copied.content]);
    await place.store.save(other.file, [other.content]);
    rmSync(join(place.folder, REPOSITORY, 'data'), { recursive: true });
    writeFileSync(join(place.folder, REPOSITORY, 'data'), 'in the way');
    place.calls.length = 0;
    const backend = place.open();
    const pack = fileOf('data', SIZE, 1);
    await backend.save(pack.file, [pack.content]);
    expect(place.notices).toHaveLength(1);
    await backend.load(copied.file);
    await backend.load(other.file);
    expect(place.calls).toEqual(['save data', 'load index']);
  });
});

describe.runIf(process.platform === 'linux')('a disk that is full', () => {
  it('ends the copying, not the work', async () => {
    await using place = await makePlace();
    // The system refuses to let files grow beyond 64 KiB.
    const program = join(import.meta.dirname, 'full-disk-program.mjs');
    const run = [
      '-c',
      'ulimit -f 64; exec "$@"',
      'sh',
      process.execPath,
      '--conditions=@restic-engine/source',
      program,
    ];
    const answer = execFileSync('bash', [...run, place.folder, REPOSITORY], { encoding: 'utf8' });
    expect(JSON.parse(answer)).toEqual({ notices: ['io'], same: [true, true, true], copies: 1, leftovers: 0 });
  });
});
