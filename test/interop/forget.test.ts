import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodePlatform } from '@restic-engine/repository';
import { parseTzif, UTC } from '@restic-engine/repo-format';
import { backup, encodeSnapshot, EngineError, forget, objects, prune } from 'restic-engine';
import type { ForgetByPolicyOptions, GroupBy, KeepPolicy, Repository, Snapshot } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { both, makePrograms } from '../support/programs.ts';
import type { Programs } from '../support/programs.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import type { Message, Restic, ResticRun } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// Hundreds of snapshots of many hosts, paths, tags and time zones; hundreds of policies by chance; the verdicts must be
// restic's, with its reasons. FORGET_POLICIES asks for more policies, FORGET_SEED for other ones.

const POLICIES = Number(process.env['FORGET_POLICIES'] ?? 200);
const SEED = Number(process.env['FORGET_SEED'] ?? 1);
const SNAPSHOTS = 256;
const ZONES = ['UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe'] as const;
const OFFSETS = [
  'Z',
  '+00:00',
  '+01:00',
  '+02:00',
  '-05:00',
  '-04:00',
  '+10:30',
  '+05:45',
  '-09:30',
  '+14:00',
] as const;
const HOSTS = ['alpha', 'beta', 'future', ''] as const;
const PATHS = [['/srv'], ['/srv', '/home'], ['/home', '/srv'], ['/ä', '/z']] as const;
const TAGS = [[], [], ['a'], ['b', 'a'], ['a', 'b'], ['x y']] as const;
/** Where calendars turn: ends of years, ISO weeks and months, leap days, clocks set forth and back. */
const EDGES = [
  '2024-12-31T23:59:59', '2025-01-01T00:00:00', '2020-12-31T12:00:00', '2021-01-03T23:30:00', '2021-01-04T00:30:00',
  '2024-02-29T10:00:00', '2023-02-28T10:00:00', '2024-03-31T02:30:00', '2024-10-27T02:30:00', '2024-11-03T01:30:00',
  '2024-03-10T02:30:00', '2023-05-31T08:00:00', '2022-08-31T08:00:00', '2026-01-31T00:00:00',
] as const; // biome-ignore format: a list

function pick<T>(random: Random, items: readonly [T, ...T[]] | readonly T[]): T {
  return items[random.int(items.length)] as T;
}

function randomTime(random: Random, host: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const offset = pick(random, OFFSETS);
  // A different fraction for each: restic's order of equal times is that of its listing.
  const fraction = `.${String(random.int(999_999_999)).padStart(9, '0')}`;
  if (host === 'future') return `2${random.int(900) + 100}-06-15T12:00:00${fraction}${offset}`;
  if (random.int(4) === 0) return `${pick(random, EDGES)}${fraction}${offset}`;
  // Many fall into the same hours and days.
  const [year, month] = random.int(3) === 0 ? [2025, 6] : [2014 + random.int(12), 1 + random.int(12)];
  const clock = `${two(random.int(24))}:${two(random.int(4) * 15)}:00`;
  return `${year}-${two(month)}-${two(1 + random.int(28))}T${clock}${fraction}${offset}`;
}

async function fill(repository: Repository, random: Random): Promise<void> {
  const { snapshot } = await backup(repository, { source: objects([{ path: 'a', content: 'a' }]) });
  for (let i = 0; i < SNAPSHOTS; i++) {
    const hostname = pick(random, HOSTS);
    const time = randomTime(random, hostname);
    const entry: Snapshot = {
      time,
      tree: snapshot.tree,
      paths: pick(random, PATHS),
      hostname,
      tags: pick(random, TAGS),
    };
    await repository.saveFile('snapshot', encodeSnapshot(entry));
  }
}

interface Request {
  readonly zone: (typeof ZONES)[number];
  readonly words: readonly string[];
  readonly options: ForgetByPolicyOptions;
}

const COUNTS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const WITHIN = ['', '-hourly', '-daily', '-weekly', '-monthly', '-yearly'] as const;
const WITHIN_KEYS = {
  '': 'within', '-hourly': 'withinHourly', '-daily': 'withinDaily', '-weekly': 'withinWeekly',
  '-monthly': 'withinMonthly', '-yearly': 'withinYearly',
} as const; // biome-ignore format: a list

/** The same request in both languages. */
function randomRequest(random: Random): Request {
  const words: string[] = [];
  const policy: { -readonly [K in keyof KeepPolicy]: KeepPolicy[K] } = {};
  for (const key of COUNTS) {
    if (random.int(4) > 0) continue;
    const count = random.int(8) === 0 ? ('unlimited' as const) : random.int(30);
    words.push(`--keep-${key}`, String(count));
    policy[key] = count;
  }
  for (const which of WITHIN) {
    if (random.int(6) > 0) continue;
    const span = randomSpan(random);
    words.push(`--keep-within${which}`, span);
    policy[WITHIN_KEYS[which]] = span;
  }
  const tags: string[][] = [];
  while (random.int(5) === 0) tags.push([...pick(random, [['a'], ['a', 'b'], [''], ['x y'], ['none'], ['', 'a']])]);
  for (const list of tags) words.push('--keep-tag', list.join(','));
  if (tags.length > 0) policy.tags = tags;

  const groupBy = (['host', 'paths', 'tags'] as const satisfies readonly GroupBy[]).filter(() => random.int(2) === 0);
  words.push('--group-by', groupBy.join(','));
  const hosts = random.int(4) === 0 ? [pick(random, ['alpha', 'beta', 'future'])] : [];
  const paths = random.int(6) === 0 ? ['/srv'] : [];
  for (const host of hosts) words.push('--host', host);
  for (const path of paths) words.push('--path', path);
  const unsafeAllowRemoveAll = random.int(10) === 0;
  if (unsafeAllowRemoveAll) words.push('--unsafe-allow-remove-all');
  const options = { policy, groupBy, filter: { hosts, paths }, unsafeAllowRemoveAll, dryRun: true, lock: false };
  return { zone: pick(random, ZONES), words, options };
}

function randomSpan(random: Random): string {
  const parts = [`${random.int(8)}y`, `${random.int(30)}m`, `${random.int(100)}d`, `${random.int(2000)}h`];
  return parts.filter(() => random.int(2) === 0).join('') || '1m';
}

/** What both can be compared by: `undefined` when the request is refused. */
type Verdict = Record<string, { keep: string[]; remove: string[]; reasons: string[][] }> | undefined;

async function askRestic(restic: Restic, { zone, words }: Request): Promise<Verdict> {
  const args = ['forget', '--dry-run', '--no-lock', '--json', ...words];
  const { status, stdout, stderr } = await restic.run(args, { env: { TZ: zone } });
  if (status !== 0) {
    expect(stderr).toMatch(/refusing to delete last snapshot|no policy was specified|is not allowed unless/);
    return undefined;
  }
  const groups = (stdout === '' ? [] : JSON.parse(stdout)) as Message[];
  const ids = (list: Message[] | null): string[] => (list ?? []).map(({ id }) => String(id));
  return Object.fromEntries(
    groups.map(({ host, paths, tags, keep, remove, reasons }) => [
      JSON.stringify([host, paths, tags]),
      {
        keep: ids(keep),
        remove: ids(remove),
        reasons: ((reasons ?? []) as Message[]).map(({ matches }) => matches as string[]),
      },
    ]),
  );
}

async function askOurs(repository: Repository, { options }: Request): Promise<Verdict> {
  try {
    const { groups } = await forget(repository, options);
    return Object.fromEntries(
      groups.map(({ key, keep, remove }) => [
        JSON.stringify([key.hostname, key.paths, key.tags]),
        {
          keep: keep.map(({ snapshot }) => snapshot.id),
          remove: remove.map(({ id }) => id),
          reasons: keep.map(({ reasons }) => [...reasons]),
        },
      ]),
    );
  } catch (error) {
    if (EngineError.is(error, 'bad-request')) return undefined;
    throw error;
  }
}

await describeWithPeer('restic', 'forget beside restic', (peer) => {
  it(
    `keeps what restic keeps, for the same reasons, under ${POLICIES} policies`,
    async () => {
      using dir = makeTempDir();
      const path = join(dir.path, 'repo');
      await initAt(path);
      const random = randomFrom(SEED);
      {
        await using repository = await openAt(path);
        await fill(repository, random);
      }
      const restic = resticAt(peer, { repo: path });
      const requests = Array.from({ length: POLICIES }, () => randomRequest(random));
      let refused = 0;
      for (const zone of ZONES) {
        const local = zone === 'UTC' ? UTC : parseTzif(readFileSync(`/usr/share/zoneinfo/${zone}`));
        await using repository = await openAt(path, { workers: 0, platform: { ...nodePlatform(), zone: local } });
        for (const request of requests.filter((each) => each.zone === zone)) {
          const [theirs, ours] = await Promise.all([askRestic(restic, request), askOurs(repository, request)]);
          expect(ours, `TZ=${zone} restic forget ${request.words.join(' ')}`).toEqual(theirs);
          if (theirs === undefined) refused += 1;
        }
      }
      // Verdicts are what is compared, not refusals.
      expect(refused).toBeLessThan(POLICIES / 2);
    },
    Math.max(120_000, POLICIES * 600),
  );

  it('prints the tables, the JSON and the refusals of restic', async () => {
    using place = makePrograms(peer);
    await fillSmall(place);
    for (const words of [
      ['--keep-last', '1', '--group-by', 'host'],
      ['-v', '--keep-daily', '1', '--keep-within-hourly', '2d', '--keep-tag', 'a,b', '-c', '--host', 'one'],
      ['--keep-last', '1', '--host', 'one', '-q'],
      ['--keep-yearly', 'unlimited', '--path', '/nowhere'],
      [],
      ['00000000'],
    ]) {
      const [own, other] = await both(place, 'forget', '--dry-run', ...words);
      expect(groupsOf(own), words.join(' ')).toEqual(groupsOf(other));
    }
    const [own, other] = await both(place, 'forget', '--dry-run', '--keep-last', '1', '--group-by', 'host', '--json');
    const byHost = (run: ResticRun): Message[] =>
      (JSON.parse(run.stdout) as Message[]).toSorted((a, b) => (String(a['host']) < String(b['host']) ? -1 : 1));
    expect(byHost(own)).toEqual(byHost(other));
  });

  it('forgets and prunes so that restic finds all in order', async () => {
    using place = makePrograms(peer);
    const { ours, theirs, restic } = place;
    await fillSmall(place);
    const words = ['forget', '--keep-last', '1', '--group-by', 'host', '--prune', '--max-unused', '0'];
    const [own, other] = await both(place, ...words, '--dry-run', '--no-lock');
    const totals = ({ stdout }: ResticRun): string[] =>
      stdout.split('\n').filter((line) => /^(to delete|total prune|remaining|\d+ snapshots would)/.test(line));
    expect(totals(own)).toEqual(totals(other));
    expect(totals(own)).toHaveLength(4);
    {
      await using repository = await openAt(join(place.path, 'repo'), { workers: 0 });
      // What is there must not be left out when data is removed in earnest.
      await expect(prune(repository, { ignoreSnapshots: [] })).rejects.toMatchObject({ code: 'bad-request' });
    }
    expect((await ours(...words)).status).toBe(0);
    await restic.ok(['check', '--read-data']);
    expect(JSON.parse((await theirs('snapshots', '--json')).stdout)).toHaveLength(2);
    expect((await theirs('prune', '--dry-run')).stdout).toMatch(/total prune: +0 blobs/);
  });
});

/** Snapshots of two hosts, each with data of its own. */
async function fillSmall({ path, restic }: Programs): Promise<void> {
  await initAt(join(path, 'repo'));
  const data = join(path, 'data');
  for (const [at, host] of ['one', 'one', 'two', 'one', 'two'].entries()) {
    writeFileSync(data, randomFrom(at + 1).bytes(100_000));
    const tags = at % 2 === 0 ? ['--tag', 'a,b'] : [];
    await restic.ok(['backup', 'data', '--host', host, '--time', `2024-02-2${at} 10:00:00`, ...tags]);
  }
}

/** Output without its order: restic's groups come in that of a hash table, and what would be removed, too. */
function groupsOf({ status, stdout, stderr }: ResticRun): unknown {
  const words = (line: string): string => line.slice(1, -1).split(' ').toSorted().join(' ');
  const lines: string[] = stdout.split('\n').map((line) => (line.startsWith('{') ? words(line) : line));
  return { status, stderr, lines: lines.toSorted() };
}
