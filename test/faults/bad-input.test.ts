import fc from 'fast-check';
import { backup, objects } from 'restic-engine';
import type { Code } from 'restic-engine';
import { createSealer, encodeConfig } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import {
  filesOf,
  makeSealed,
  makeVictim,
  openStore,
  outcomeOf,
  readEverything,
  saveSnapshot,
  saveTree,
  storeOf,
  type StoredFile,
} from '../support/damage.ts';

// Whatever is wrong with the bytes of a repository: an EngineError, soon, and not a byte of it changed.

/** What can happen to the bytes of a file. */
const damages = fc.oneof(
  fc.record({ kind: fc.constant('truncate' as const), keep: fc.double({ min: 0, max: 0.9999, noNaN: true }) }),
  fc.record({
    kind: fc.constant('flip' as const),
    at: fc.double({ min: 0, max: 0.9999, noNaN: true }),
    bit: fc.nat(7),
  }),
  fc.record({ kind: fc.constant('append' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 100 }) }),
  fc.record({ kind: fc.constant('replace' as const), bytes: fc.uint8Array({ maxLength: 200 }) }),
  fc.record({ kind: fc.constant('zero' as const) }),
  fc.record({ kind: fc.constant('swap' as const), other: fc.nat() }),
);

type Damage = typeof damages extends fc.Arbitrary<infer T> ? T : never;

function damaged(files: readonly StoredFile[], victim: StoredFile, damage: Damage): Uint8Array {
  const { bytes } = victim;
  switch (damage.kind) {
    case 'truncate':
      return bytes.slice(0, Math.floor(bytes.length * damage.keep));
    case 'flip': {
      const copy = bytes.slice();
      const at = Math.floor(copy.length * damage.at);
      copy[at] = copy[at]! ^ (1 << damage.bit);
      return copy;
    }
    case 'append':
      return Buffer.concat([bytes, damage.bytes]);
    case 'replace':
      return damage.bytes;
    case 'zero':
      return new Uint8Array(bytes.length);
    case 'swap':
      return files[damage.other % files.length]!.bytes;
  }
}

const hashable = (files: readonly StoredFile[]): string[] =>
  files.map(({ type, name, bytes }) => `${type} ${name} ${Buffer.from(bytes).toString('base64')}`);

/** Replaces one file of a repository. */
const withFile = (files: readonly StoredFile[], victim: StoredFile, bytes: Uint8Array): StoredFile[] =>
  files.map((file) => (file === victim ? { ...file, bytes } : file));

const boxed = (ms: number) => ({ interruptAfterTimeLimit: ms, markInterruptAsFailure: false, numRuns: 100_000 });

describe.each([1, 2] as const)('a damaged repository of version %i', (version) => {
  it('is refused or read as if nothing were wrong', async () => {
    const files = await makeVictim(version);
    const sound = await readEverything(await storeOf(files));
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.nat(files.length - 1), damages, async (number, damage) => {
        const victim = files[number]!;
        const bytes = damaged(files, victim, damage);
        const store = await storeOf(withFile(files, victim, bytes));
        const before = hashable(await filesOf(store));
        const outcome = await outcomeOf(async () => {
          const seen = await readEverything(store);
          // A lock that is empty counts as none.
          if (!(victim.type === 'lock' && bytes.length === 0)) expect(seen).toBe(sound);
        });
        outcomes.add(`${victim.type} ${outcome}`);
        expect(hashable(await filesOf(store))).toEqual(before);
      }),
      boxed(4000),
    );
    // Each kind of file has been found damaged at least once.
    for (const type of ['config', 'key', 'lock', 'snapshot', 'index', 'data']) {
      expect(
        [...outcomes].filter((each) => each.startsWith(type) && !each.endsWith('success')),
        type,
      ).not.toEqual([]);
    }
  });

  it('loses nothing by a backup', async () => {
    const files = await makeVictim(version);
    const kinds: readonly Damage[] = [
      { kind: 'truncate', keep: 0.5 },
      { kind: 'flip', at: 0.3, bit: 0 },
      { kind: 'zero' },
      { kind: 'replace', bytes: new Uint8Array(0) },
    ];
    // A lock that cannot be read is waited for, in case it is still being written.
    const cases = files
      .filter(({ type }) => type !== 'lock')
      .flatMap((victim) => kinds.map((damage) => [victim, damage] as const));
    const outcomes = await Promise.all(
      cases.map(async ([victim, damage]) => {
        const left = withFile(files, victim, damaged(files, victim, damage));
        const store = await storeOf(left);
        const outcome = await outcomeOf(async () => {
          await backup(await openStore(store), { source: objects([{ path: 'new', content: 'new' }]) });
        });
        const after = new Set(hashable(await filesOf(store)));
        for (const file of hashable(left)) expect(after.has(file)).toBe(true);
        return `${victim.type} ${outcome}`;
      }),
    );
    // Damage to old packs does not keep anybody from making new snapshots; damage to indexes does.
    expect(new Set(outcomes.filter((each) => each.startsWith('data')))).toEqual(new Set(['data success']));
    expect(new Set(outcomes.filter((each) => each.startsWith('index')))).toEqual(new Set(['index corrupt']));
  });
});

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

const WEIRD: readonly unknown[] = [
  null,
  0,
  -1,
  1.5,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  1e300,
  '',
  'x',
  'f'.repeat(64),
  '\u0000',
  '../../etc/passwd',
  true,
  [],
  {},
  [[]],
  { __proto__: null, constructor: 'x' },
];

/** Puts something else in the place of one value, wherever it is. */
function replaced(value: unknown, pick: (below: number) => number): unknown {
  if (typeof value !== 'object' || value === null || pick(8) === 0) return WEIRD[pick(WEIRD.length)];
  const keys = Object.keys(value);
  if (keys.length === 0) return WEIRD[pick(WEIRD.length)];
  const key = keys[pick(keys.length)]!;
  const old = (value as Record<string, unknown>)[key];
  if (Array.isArray(value)) return value.with(Number(key), replaced(old, pick));
  const chance = pick(10);
  const rest = Object.fromEntries(Object.entries(value).filter(([each]) => each !== key));
  return chance === 0 ? rest : { ...value, [key]: replaced(old, pick) };
}

describe('well sealed nonsense', () => {
  const picks = fc.infiniteStream(fc.nat(1_000_000));
  const picker = (stream: Iterator<number>) => (below: number) => (stream.next().value as number) % below;

  it.each(['index', 'snapshot', 'lock'] as const)('in an %s', async (type) => {
    const { files, repository: sound } = await makeSealed();
    const victim = files.find((file) => file.type === type)!;
    const value: unknown = JSON.parse(Buffer.from(await sound.loadFile(type, victim.name)).toString());
    await fc.assert(
      fc.asyncProperty(picks, async (stream) => {
        const store = await storeOf(files.filter((file) => file !== victim));
        const repository = await openStore(store);
        await repository.saveFile(type, json(replaced(value, picker(stream[Symbol.iterator]()))));
        // It may be harmless; it may not be a surprise.
        await outcomeOf(() => readEverything(store));
      }),
      boxed(1500),
    );
  });

  it('in a tree', async () => {
    const { files, repository: sound } = await makeSealed();
    const indexed = await sound.loadIndex();
    const snapshot = files.find((file) => file.type === 'snapshot')!;
    const { tree } = JSON.parse(Buffer.from(await sound.loadFile('snapshot', snapshot.name)).toString()) as {
      tree: Id;
    };
    const value: unknown = JSON.parse(Buffer.from(await indexed.loadTreeBytes(tree)).toString());
    await fc.assert(
      fc.asyncProperty(picks, async (stream) => {
        const store = await storeOf(files);
        const repository = await openStore(store);
        const id = await saveTree(repository, json(replaced(value, picker(stream[Symbol.iterator]()))));
        await saveSnapshot(repository, id);
        await outcomeOf(() => readEverything(store));
      }),
      boxed(1500),
    );
  });

  it('in a config: another version, another key', async () => {
    const { files } = await makeSealed();
    const config = files.find(({ type }) => type === 'config')!;
    const { config: good, masterKey } = await openStore(await storeOf(files));
    const sealed = (value: unknown): Uint8Array => createSealer(masterKey).seal(json(value));
    const open = async (bytes: Uint8Array): Promise<Code | 'success'> => {
      const store = await storeOf(withFile(files, config, bytes));
      return outcomeOf(() => openStore(store));
    };
    const value = JSON.parse(Buffer.from(encodeConfig(good)).toString()) as Record<string, unknown>;
    expect(await open(sealed(value))).toBe('success');
    for (const version of [0, 3, 2 ** 31, -1])
      expect(await open(sealed({ ...value, version })), String(version)).toBe('unsupported');
    for (const broken of [
      {},
      [],
      'x',
      { ...value, version: '2' },
      { ...value, id: 'x' },
      { ...value, chunker_polynomial: 'zz' },
    ]) {
      expect(await open(sealed(broken)), JSON.stringify(broken)).toBe('corrupt');
    }
    const other = (await makeVictim(2)).find(({ type }) => type === 'config')!;
    expect(await open(other.bytes)).toBe('corrupt');
  });
});

describe('what is not there', () => {
  it('no config, no key, no password that fits', async () => {
    const files = await makeVictim(2);
    const without = (type: string) => storeOf(files.filter((file) => file.type !== type));
    expect(await outcomeOf(async () => openStore(await without('config')))).toBe('no-repository');
    expect(await outcomeOf(async () => openStore(await without('key')))).toBe('wrong-password');
    expect(await outcomeOf(async () => openStore(await storeOf(files), 'wrong'))).toBe('wrong-password');
    expect(await outcomeOf(async () => openStore(await storeOf([])))).toBe('no-repository');
    expect(await outcomeOf(async () => readEverything(await without('data')))).toBe('not-found');
    expect(await outcomeOf(async () => readEverything(await without('index')))).toBe('not-found');
  });
});

interface IndexJson {
  packs: {
    id: string;
    blobs: { id: string; type: string; offset: number; length: number; uncompressed_length?: number }[];
  }[];
}

describe('an index that lies', () => {
  /** Reads everything with the index rewritten. */
  async function withIndex(change: (index: IndexJson) => void): Promise<Code | 'success'> {
    const { files, repository } = await makeSealed();
    const kept = files.filter(({ type }) => type !== 'index');
    const store = await storeOf(kept);
    const again = await openStore(store);
    for (const { name } of files.filter(({ type }) => type === 'index')) {
      const index = JSON.parse(Buffer.from(await repository.loadFile('index', name)).toString()) as IndexJson;
      change(index);
      await again.saveFile('index', json(index));
    }
    return outcomeOf(() => readEverything(store));
  }

  const dataPack = (index: IndexJson) => index.packs.find(({ blobs }) => blobs.length > 1 && blobs[0]!.type === 'data');

  it('is believed as long as it does not', async () => {
    expect(await withIndex(() => undefined)).toBe('success');
  });

  it('about places: two blobs swapped', async () => {
    let swapped = 0;
    const outcome = await withIndex((index) => {
      const blobs = dataPack(index)?.blobs;
      if (blobs === undefined) return;
      const [a, b] = blobs as [(typeof blobs)[0], (typeof blobs)[0]];
      [a.id, b.id] = [b.id, a.id];
      swapped += 1;
    });
    expect(swapped).toBeGreaterThan(0);
    expect(outcome).toBe('corrupt');
  });

  it.each([
    ['length', 2 ** 32 - 1],
    ['length', 31],
    ['offset', 2 ** 32 - 1],
    ['uncompressed_length', 2 ** 32 - 1],
    ['uncompressed_length', 2 ** 30],
    ['uncompressed_length', 1],
  ] as const)('about sizes: %s is %i', async (field, value) => {
    const outcome = await withIndex(({ packs }) => {
      for (const { blobs } of packs) for (const blob of blobs) blob[field] = value;
    });
    expect(['corrupt', 'out-of-range', 'too-large', 'not-found']).toContain(outcome);
  });
});
