import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { copy, EngineError, rewrite, tag } from 'restic-engine';
import type { RewriteOptions, SnapshotFilter, TagOptions } from 'restic-engine';
import { expect, it } from 'vitest';
import type { Peer } from '../peers/peers.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { expectSameValue } from '../support/difference.ts';
import { pick, randomFrom, SEED } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { fillRandomly, HOSTS, PATHS } from '../support/random-repository.ts';
import { initAt, openAt } from '../support/repository.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import type { Message, Restic } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import type { TempDir } from '../support/temp-dir.ts';

// The same changes by chance, by restic and by ours, to copies of repositories by chance: the same snapshots with the
// same trees. RANDOM_SEED asks for other ones, CHANGE_CASES for more.

const CASES = Number(process.env['CHANGE_CASES'] ?? 10);

/** For a busy machine. */
const PATIENCE_MS = 120_000 + CASES * 5000;

interface Place extends TempDir {
  readonly random: Random;
  readonly ids: readonly string[];
  readonly paths: readonly string[];
  at(name: string): string;
  /** restic at a repository of the place. */
  restic(name: string): Restic;
  /** Two copies of the repository, one for each. */
  clone(): { ours: string; theirs: string };
}

async function makePlace(peer: Peer, salt: number): Promise<Place> {
  const dir = makeTempDir();
  const at = (name: string): string => join(dir.path, name);
  const random = randomFrom(SEED * 64 + 32 + salt * 2 + 1);
  await initAt(at('repo'));
  await using repository = await openAt(at('repo'), { workers: 0 });
  const { snapshots, paths } = await fillRandomly(repository, random, { snapshots: 16, trees: 12, odd: false });
  let clones = 0;
  return {
    path: dir.path,
    [Symbol.dispose]: dir[Symbol.dispose],
    random,
    ids: snapshots.map(({ id }) => id),
    paths: paths.filter((path) => path.isWellFormed()),
    at,
    restic: (name) => resticAt(peer, { repo: at(name), env: { TZ: 'UTC', RESTIC_FROM_PASSWORD: PASSWORD } }),
    clone() {
      const names = { ours: `ours ${clones}`, theirs: `theirs ${clones}` };
      clones += 1;
      for (const name of Object.values(names)) cpSync(at('repo'), at(name), { recursive: true });
      return names;
    },
  };
}

/** All that snapshots say, but for the ids of new ones, which hold the time or the order of something. */
async function factsOf(restic: Restic): Promise<Message[]> {
  const [list] = await restic.json(['snapshots', '--no-lock']);
  const known = (list as unknown as Message[]).map(({ id: _id, short_id: _short, tags, ...snapshot }) => ({
    ...snapshot,
    // restic puts the last tag in the place of one that it removes.
    tags: (tags as string[] | undefined)?.toSorted(),
  }));
  return known.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function randomFilter(random: Random): { words: string[]; filter: SnapshotFilter } {
  const hosts =
    random.int(3) === 0
      ? [
          pick(
            random,
            HOSTS.filter((host) => host !== ''),
          ),
        ]
      : [];
  const paths = random.int(4) === 0 ? [pick(random, pick(random, PATHS))] : [];
  const tags = random.int(4) === 0 ? [pick(random, [['a'], ['a', 'b'], ['']])] : [];
  const words = [
    ...hosts.flatMap((host) => ['--host', host]),
    ...paths.flatMap((path) => ['--path', path]),
    ...tags.flatMap((list) => ['--tag', list.join(',')]),
  ];
  return { words, filter: { hosts, paths, tags } };
}

function randomPattern({ random, paths }: Place): string {
  const path = pick(random, paths);
  const name = path.slice(path.lastIndexOf('/') + 1);
  const folder = path.slice(0, path.indexOf('/', 1) >>> 0);
  return pick(random, [
    path, path, name, name, name.toUpperCase(), folder, `${folder}/*`, `${name.slice(0, 1)}*`, '*.txt', '[a-c]*', '**/x',
    `/*/${name}`, '*', `!${path}`, `!${name}`, '\\*', 'none',
  ]); // biome-ignore format: a list
}

function randomRewrite(place: Place): { words: string[]; options: RewriteOptions } {
  const { random } = place;
  const { words, filter } = randomFilter(random);
  const options: { -readonly [K in keyof RewriteOptions]: RewriteOptions[K] } = { filter };
  const patterns = Array.from({ length: 1 + random.int(3) }, () => randomPattern(place));
  const kind = pick(random, ['exclude', 'exclude', 'iexclude', 'include', 'iinclude', undefined] as const);
  if (kind !== undefined) {
    options[kind] = patterns;
    words.push(...patterns.flatMap((pattern) => [`--${kind}`, pattern]));
  }
  if (random.int(4) === 0) {
    options.newHost = 'other';
    words.push('--new-host', 'other');
  }
  if (random.int(4) === 0) {
    options.newTime = '2020-03-08T01:30:00Z';
    words.push('--new-time', '2020-03-08 01:30:00');
  }
  if (random.int(4) === 0 || words.length === 0) {
    options.snapshotSummary = true;
    words.push('--snapshot-summary');
  }
  if (random.int(2) === 0) {
    options.forget = true;
    words.push('--forget');
  }
  return { words, options };
}

function titleOf(command: string, words: readonly string[]): string {
  return `RANDOM_SEED=${SEED} restic ${command} ${words.map((word) => `'${word}'`).join(' ')}`;
}

/** `undefined` when ours refuses what it is asked for. */
async function unlessRefused<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (EngineError.is(error, 'bad-request')) return undefined;
    throw error;
  }
}

await describeWithPeer('restic', 'changing at random', (peer) => {
  it(
    'rewrites to the same snapshots and trees',
    async () => {
      using place = await makePlace(peer, 0);
      let changes = 0;
      for (let i = 0; i < CASES; i++) {
        const { words, options } = randomRewrite(place);
        const { ours, theirs } = place.clone();
        const title = titleOf('rewrite', words);
        const told = await place.restic(theirs).run(['rewrite', ...words]);
        await using repository = await openAt(place.at(ours), { workers: 0 });
        const result = await unlessRefused(() => rewrite(repository, options));
        expect(result === undefined, `${title}\n${told.stderr}`).toBe(told.status !== 0);
        if (result === undefined) continue;
        expect([result.failed, result.problems], title).toEqual([[], []]);
        expect(result.changed.length, title).toBe(Number(/^modified (\d+) snap/m.exec(told.stdout)?.[1] ?? 0));
        expectSameValue(await factsOf(place.restic(ours)), await factsOf(place.restic(theirs)), title);
        expect(await place.restic(ours).ok(['check']), title).toContain('no errors were found');
        changes += result.changed.length;
      }
      expect(changes).toBeGreaterThan(CASES);
    },
    PATIENCE_MS,
  );

  it(
    'copies the same snapshots and blobs',
    async () => {
      using place = await makePlace(peer, 1);
      const { random } = place;
      const [ours, theirs] = ['our copies', 'their copies'] as const;
      for (const name of [ours, theirs]) await initAt(place.at(name), { version: pick(random, [2, 2, 1]) });
      await using source = await openAt(place.at('repo'), { workers: 0 });
      await using target = await openAt(place.at(ours), { workers: 0 });
      const blobsOf = async (name: string): Promise<string[]> =>
        (await place.restic(name).ok(['list', 'blobs', '--no-lock'])).split('\n').toSorted();
      let copies = 0;
      for (let i = 0; i < CASES; i++) {
        const ids = random.int(2) === 0 ? [pick(random, place.ids), pick(random, place.ids).slice(0, 12)] : [];
        const { words, filter } = ids.length > 0 ? { words: ids, filter: {} } : randomFilter(random);
        const title = titleOf('copy', words);
        await place.restic(theirs).ok(['copy', '--from-repo', place.at('repo'), ...words]);
        const { copied, problems } = await copy(source, target, ids.length > 0 ? { ids } : { filter });
        expect(problems, title).toEqual([]);
        copies += copied.length;
        expectSameValue(await factsOf(place.restic(ours)), await factsOf(place.restic(theirs)), title);
        expectSameValue(await blobsOf(ours), await blobsOf(theirs), title);
      }
      expect(copies).toBeGreaterThan(5);
      expect(await place.restic(ours).ok(['check', '--read-data'])).toContain('no errors were found');
    },
    PATIENCE_MS,
  );

  it(
    'changes tags alike, one time after another',
    async () => {
      using place = await makePlace(peer, 2);
      const { random } = place;
      const { ours, theirs } = place.clone();
      await using repository = await openAt(place.at(ours), { workers: 0 });
      const tags = (): string[] => [pick(random, ['a', 'b', 'c', 'new', 'x y']), ...(random.int(3) === 0 ? ['d'] : [])];
      let changes = 0;
      for (let i = 0; i < CASES; i++) {
        const { words, filter } = randomFilter(random);
        const options: TagOptions = pick(random, [
          { set: tags() },
          { add: tags() },
          { remove: tags() },
          // One that is added and removed is a change for restic.
          { add: ['more'], remove: tags() },
        ]);
        for (const key of ['set', 'add', 'remove'] as const) {
          for (const name of options[key] ?? []) words.push(`--${key}`, name);
        }
        const title = titleOf('tag', words);
        const told = await place.restic(theirs).json(['tag', ...words]);
        const { changed, failed, problems } = await tag(repository, { ...options, filter });
        expect([failed, problems], title).toEqual([[], []]);
        expect(changed.length, title).toBe(told.at(-1)?.['changed_snapshots']);
        const plain = (facts: Message[]): Message[] =>
          facts.map(({ original, ...fact }) => ({
            ...fact,
            original: place.ids.includes(String(original)) ? original : 'new',
          }));
        expectSameValue(plain(await factsOf(place.restic(ours))), plain(await factsOf(place.restic(theirs))), title);
        changes += changed.length;
      }
      expect(changes).toBeGreaterThan(CASES);
    },
    PATIENCE_MS,
  );
});
