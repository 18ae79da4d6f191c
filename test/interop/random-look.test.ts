import { join } from 'node:path';
import { listSnapshots } from 'restic-engine';
import type { SnapshotEntry } from 'restic-engine';
import { expect, it } from 'vitest';
import type { Peer } from '../peers/peers.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { startCli } from '../support/cli.ts';
import type { Cli } from '../support/cli.ts';
import { firstDifference } from '../support/difference.ts';
import { pick, randomFrom, SEED, some } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { fillRandomly, HOSTS, PATHS } from '../support/random-repository.ts';
import { all, initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import type { Message, Restic, ResticRun } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import type { TempDir } from '../support/temp-dir.ts';

// Commands by chance that look into repositories by chance: the same words, the same answers. RANDOM_SEED asks for other
// ones, LOOK_CASES for more of each kind.

const CASES = Number(process.env['LOOK_CASES'] ?? 40);
/** For a busy machine. */
const PATIENCE_MS = 120_000 + CASES * 2000;
const ZONES = ['UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe'] as const;

interface Place extends TempDir {
  readonly cli: Cli;
  readonly restic: Restic;
  readonly random: Random;
  readonly snapshots: readonly SnapshotEntry[];
  /** Paths in the snapshots, with a leading `/`. */
  readonly paths: readonly string[];
  readonly blobs: readonly string[];
  readonly trees: readonly string[];
  readonly packs: readonly string[];
}

/** @param salt tells the places of one seed apart */
async function makePlace(peer: Peer, salt: number): Promise<Place> {
  const dir = makeTempDir();
  const repo = join(dir.path, 'repo');
  const random = randomFrom(SEED * 64 + salt * 2 + 1);
  await initAt(repo, { version: salt % 3 === 0 ? 1 : 2 });
  await using repository = await openAt(repo, { workers: 0 });
  const { paths } = await fillRandomly(repository, random, { snapshots: 50, trees: 25 });
  const indexed = await repository.loadIndex();
  const entries = [...indexed.table.entries()];
  const idsOf = (type: string): string[] => entries.filter((entry) => entry.type === type).map(({ id }) => id);
  const cli = startCli({ repo, cwd: dir.path });
  return {
    path: dir.path,
    [Symbol.dispose]: () => {
      cli[Symbol.dispose]();
      dir[Symbol.dispose]();
    },
    cli,
    restic: resticAt(peer, { repo, cwd: dir.path }),
    random,
    snapshots: (await all(listSnapshots(repository))).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    // What is no UTF-8 cannot be an argument.
    paths: paths.filter((path) => path.isWellFormed()),
    blobs: idsOf('data').toSorted(),
    trees: idsOf('tree').toSorted(),
    packs: [...new Set(entries.map(({ pack }) => pack))].toSorted(),
  };
}

/** What one printed, in a form that both can be compared by. */
type Shape = (run: ResticRun, words: readonly string[]) => unknown;

/** Asks both for `count` commands by chance, several at a time. */
async function expectAlike(
  place: Place,
  words: () => string[],
  shape: Shape = shapeOf,
  count: number = CASES,
): Promise<void> {
  const { cli, restic, random } = place;
  const requests = Array.from({ length: count }, () => ({ words: words(), zone: pick(random, ZONES) }));
  let failures = 0;
  const problems: string[] = [];
  const lane = async (): Promise<void> => {
    for (let request = requests.pop(); request !== undefined; request = requests.pop()) {
      const [command = '', ...rest] = request.words;
      const { zone } = request;
      const args = [command, '--no-lock', ...rest];
      const options = { env: { TZ: zone } };
      const [own, other] = await Promise.all([cli.run(args, options), restic.run(args, options)]);
      const title = `RANDOM_SEED=${SEED} TZ=${zone} restic ${args.map((word) => `'${word}'`).join(' ')}`;
      const difference = firstDifference(shape(own, args), shape(other, args));
      if (difference !== undefined) problems.push(`${title}\n${own.stderr}${other.stderr}${difference}`);
      if (other.status !== 0) failures += 1;
    }
  };
  await Promise.all([lane(), lane(), lane()]);
  if (problems.length > 0) throw new Error(problems.slice(0, 5).join('\n\n'));
  // Answers are what is compared, not refusals.
  expect(failures).toBeLessThan(count * 0.6);
}

/** Text as it is, JSON parsed; of what goes wrong only that it does. */
function shapeOf({ status, stdout, stderr }: ResticRun, words: readonly string[]): unknown {
  if (status !== 0) return { status, isTold: stderr !== '' };
  // Some characters have escapes for restic; the lines begin alike.
  const indents = stdout.split('\n').map((line) => line.search(/[^ ]|$/));
  if (words.includes('--ncdu')) return { stderr, value: parseExact(stdout), indents };
  // restic has a name for the zone of a snapshot if it is that of the machine.
  const text = stdout.replace(/^(snapshot .* [-+]\d{4}) \S+ by/, '$1 by');
  if (!words.includes('--json')) return { stderr, lines: text.split('\n') };
  return { stderr, values: stdout.split('\n').filter((line) => line !== '').map((line) => parseExact(line)) }; // biome-ignore format: one step
}

/**
 * The places that `find --tree` tells of, without those that restic does not look for: from the one on with which it has
 * found as many as it was asked for, it leaves a snapshot after each.
 */
function placesShape(run: ResticRun, words: readonly string[]): unknown {
  if (!words.includes('--tree') || run.status !== 0) return shapeOf(run, words);
  const wanted = words.filter((word) => /^[0-9a-f]{8,}$/.test(word)).length;
  const left = new Set<string>();
  let found = 0;
  return (JSON.parse(run.stdout) as Message[]).filter(({ snapshot }) => {
    if (left.has(String(snapshot))) return false;
    found += 1;
    if (found >= wanted) left.add(String(snapshot));
    return true;
  });
}

/** Numbers that are not exact stay as they are written. */
function parseExact(text: string): Message[] | Message {
  const exact = (_key: string, value: unknown, context?: { source: string }): unknown =>
    typeof value === 'number' && !Number.isSafeInteger(value) ? context?.source : value;
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown) as Message[] | Message;
}

function filterWords(random: Random): string[] {
  return some(
    random,
    ['--host', pick(random, HOSTS)],
    ...(random.int(2) === 0 ? [['--host', pick(random, HOSTS)]] : []),
    ['--path', pick(random, pick(random, PATHS))],
    ['--tag', pick(random, ['a', 'a,b', '', 'x y', 'none', 'b,c', ',a'])],
    ...(random.int(2) === 0 ? [['--tag', pick(random, ['a', 'x y'])]] : []),
  );
}

function idOf({ random, snapshots }: Place): string {
  const { id } = pick(random, snapshots);
  return random.int(2) === 0 ? id : id.slice(0, 8 + random.int(10));
}

/** A folder or file there is in some snapshot, or one that is in none. */
function pathOf({ random, paths }: Place): string {
  const path = pick(random, ['/', '/none', ...paths]);
  return random.int(2) === 0 ? path.slice(0, path.indexOf('/', 1) >>> 0) : path;
}

/** A snapshot, perhaps with a folder in it, which need not be there. */
function specOf(place: Place): string {
  const { random } = place;
  return random.int(3) > 0 ? idOf(place) : `${idOf(place)}:${pathOf(place)}`;
}

await describeWithPeer('restic', 'looking at random', (peer) => {
  it(
    'lists the same snapshots',
    async () => {
      using place = await makePlace(peer, 0);
      const { random, snapshots } = place;
      const groups = ['host', 'paths', 'tags', 'host,paths', 'hosts,tag', 'path,host,tags', ''];
      const words = (): string[] => [
        'snapshots',
        ...filterWords(random),
        ...some(random, ['--latest', String(random.int(4))], ['--group-by', pick(random, groups)], ['--compact']),
        // restic shows the latest twice if it is named before.
        ...(random.int(6) === 0 ? [pick(random, ['latest', snapshots[0]?.id ?? '', 'ffffffffff']), idOf(place)] : []),
        ...(random.int(2) === 0 ? ['--json'] : []),
      ];
      await expectAlike(place, words, (run, args) => {
        if (!args.includes('--group-by') || run.status !== 0) return shapeOf(run, args);
        // restic's order of groups is that of a hash table.
        const groupsOf = (): string[] =>
          args.includes('--json')
            ? (parseExact(run.stdout) as Message[]).map((group) => JSON.stringify(group))
            : run.stdout.split(/(?<=\n\d+ snapshots\n)/);
        return { stderr: run.stderr, groups: groupsOf().toSorted() };
      });
    },
    PATIENCE_MS,
  );

  it(
    'lists the same files',
    async () => {
      using place = await makePlace(peer, 1);
      const { random } = place;
      const sorts = ['name', 'size', 'time', 'mtime', 'atime', 'ctime', 'extension'];
      const words = (): string[] => {
        const ncdu = random.int(5) === 0;
        const order = some(random, ['--sort', pick(random, sorts)], ['--reverse']);
        const look = some(random, ['--long'], ['--human-readable'], ['-q'], ['--json']);
        const folders = Array.from({ length: random.int(3) }, () => pathOf(place) + pick(random, ['', '', '/']));
        return [
          'ls',
          ...(random.int(8) === 0 ? ['latest', ...filterWords(random)] : [specOf(place)]),
          ...folders,
          ...some(random, ['--recursive']),
          ...(ncdu ? ['--ncdu'] : [...order, ...look]),
        ];
      };
      await expectAlike(place, words, shapeOf, CASES * 2);
    },
    PATIENCE_MS,
  );

  it(
    'tells the same differences',
    async () => {
      using place = await makePlace(peer, 2);
      const { random } = place;
      const words = (): string[] => {
        const options = some(random, ['--metadata'], ['--json'], ['-q']);
        const [one, two, path] = [idOf(place), idOf(place), pathOf(place)];
        const same = [`${one}:${path}`, `${two}:${path}`];
        return ['diff', ...options, ...(random.int(4) === 0 ? same : [one, random.int(9) === 0 ? one : two])];
      };
      await expectAlike(place, words);
    },
    PATIENCE_MS,
  );

  it(
    'finds the same names',
    async () => {
      using place = await makePlace(peer, 3);
      const { random } = place;
      const pattern = (): string => {
        const path = pathOf(place);
        const name = path.slice(path.lastIndexOf('/') + 1);
        const folder = path.slice(0, path.lastIndexOf('/'));
        const case_ = random.int(2) === 0 ? name.toUpperCase() : name.toLowerCase();
        return pick(random, [name, case_, path, `${folder}/*`, `*${name.slice(1)}`, '*.txt', '[a-c]*', '/**/x', '*/?', `${name}/*`, '!a', '\\*']) || '*'; // biome-ignore format: a list
      };
      const time = (): string =>
        pick(random, ['2001-01-01', '2010-06-15 12:00', '15.06.2020 10:30:00', '1969-12-31', '2024-03-31 02:30']);
      const words = (): string[] => [
        'find',
        ...filterWords(random),
        ...some(random, ['-i'], ['-l'], ['--human-readable'], ['-R'], ['-q'], ['--json']),
        ...some(random, ['--oldest', time()]),
        ...some(random, ['--newest', time()]),
        ...(random.int(4) === 0 ? ['--snapshot', idOf(place)] : []),
        '--',
        ...Array.from({ length: 1 + random.int(2) }, pattern),
      ];
      await expectAlike(place, words);
    },
    PATIENCE_MS,
  );

  it(
    'finds the same blobs, trees and packs',
    async () => {
      using place = await makePlace(peer, 4);
      const { random, snapshots, blobs, trees, packs } = place;
      const words = (): string[] => {
        const [kind, ids] = pick(random, [
          ['--blob', blobs],
          ['--tree', trees],
          ['--tree', snapshots.map(({ tree }) => tree)],
          ['--pack', packs],
        ] as const);
        const names = new Set(Array.from({ length: 1 + random.int(2) }, () => pick(random, ids)));
        // Of several blobs restic names the packs in the order of a hash table, of one that a filter hides perhaps none.
        const showsPacks = kind === '--blob' && names.size === 1 && random.int(2) === 0;
        return [
          'find',
          kind,
          ...some(random, ['-R']),
          ...(showsPacks ? ['--show-pack-id'] : filterWords(random)),
          ...(kind === '--tree' || (!showsPacks && random.int(2) === 0) ? ['--json'] : []),
          ...Array.from(names, (id) => (random.int(2) === 0 ? id : id.slice(0, 8))),
        ];
      };
      await expectAlike(place, words, placesShape);
    },
    PATIENCE_MS,
  );

  it(
    'adds up the same',
    async () => {
      using place = await makePlace(peer, 5);
      const { random } = place;
      const words = (): string[] => {
        const mode = pick(random, ['restore-size', 'files-by-contents', 'blobs-per-file', 'raw-data']);
        // Of several snapshots restic reads whichever comes first, and there a content counts at the first path it is seen at.
        const which = mode === 'blobs-per-file' || random.int(2) === 0 ? [idOf(place)] : filterWords(random);
        return ['stats', '--mode', mode, ...which, ...some(random, ['--json'])];
      };
      await expectAlike(place, words, (run, args) => {
        // A line tells how long it took.
        const stdout = run.stdout.replaceAll(/^\[\d+:\d\d\].*\n/gm, '');
        return shapeOf({ ...run, stdout }, args);
      });
    },
    PATIENCE_MS,
  );

  it(
    'prints the same objects',
    async () => {
      using place = await makePlace(peer, 6);
      const { random, blobs, trees } = place;
      const words = (): string[] =>
        pick(random, [
          () => ['cat', 'snapshot', idOf(place)],
          () => ['cat', 'tree', specOf(place)],
          () => ['cat', 'blob', pick(random, [...blobs, ...trees])],
          () => ['list', pick(random, ['blobs', 'packs', 'index', 'snapshots', 'keys', 'locks'])],
        ])();
      await expectAlike(place, words, (run, args) => {
        const shape = shapeOf(run, args) as { lines?: string[] };
        return { ...shape, lines: args[0] === 'list' ? shape.lines?.toSorted() : shape.lines };
      });
    },
    PATIENCE_MS,
  );
});
