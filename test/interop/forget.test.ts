import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodePlatform } from '@restic-engine/repository';
import { parseTzif, UTC } from '@restic-engine/repo-format';
import { EngineError, forget, prune } from 'restic-engine';
import type { ForgetByPolicyOptions, ForgetGroup, GroupBy, KeepPolicy, Repository } from 'restic-engine';
import { expect, it } from 'vitest';
import type { Peer } from '../peers/peers.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { startCli } from '../support/cli.ts';
import type { Cli } from '../support/cli.ts';
import { expectSameValue } from '../support/difference.ts';
import { both, makePrograms } from '../support/programs.ts';
import type { Programs } from '../support/programs.ts';
import { pick, randomFrom, SEED } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { fillRandomly, HOSTS, PATHS } from '../support/random-repository.ts';
import type { RandomRepository } from '../support/random-repository.ts';
import { initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import type { Message, Restic, ResticRun } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// Repositories by chance, one for each zone; hundreds of policies by chance; the verdicts must be restic's, with its
// reasons. FORGET_POLICIES asks for more policies (a thousand were compared when this was written), RANDOM_SEED for other
// ones.

const POLICIES = Number(process.env['FORGET_POLICIES'] ?? 400);
const SNAPSHOTS = 80;
const ZONES = ['UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe'] as const;
type Zone = (typeof ZONES)[number];

interface Request {
  readonly words: readonly string[];
  readonly options: ForgetByPolicyOptions;
}

const COUNTS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const WITHIN = ['', '-hourly', '-daily', '-weekly', '-monthly', '-yearly'] as const;
const WITHIN_KEYS = {
  '': 'within', '-hourly': 'withinHourly', '-daily': 'withinDaily', '-weekly': 'withinWeekly',
  '-monthly': 'withinMonthly', '-yearly': 'withinYearly',
} as const; // biome-ignore format: a list
const TAG_LISTS = [['a'], ['a', 'b'], [''], ['x y'], ['none'], ['', 'a'], ['a', '']] as const;

/** The same request in both languages. */
function randomRequest(random: Random): Request {
  const words: string[] = [];
  const policy: { -readonly [K in keyof KeepPolicy]: KeepPolicy[K] } = {};
  for (const key of COUNTS) {
    if (random.int(4) > 0) continue;
    const count = random.int(8) === 0 ? ('unlimited' as const) : random.int(pick(random, [4, 30]));
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
  while (random.int(5) === 0) tags.push([...pick(random, TAG_LISTS)]);
  for (const list of tags) words.push('--keep-tag', list.join(','));
  if (tags.length > 0) policy.tags = tags;

  const filter = randomFilter(random);
  const names = { host: ['host', 'hosts'], paths: ['path', 'paths'], tags: ['tag', 'tags'] } as const;
  const groupBy = (['tags', 'host', 'paths'] as const satisfies readonly GroupBy[]).filter(() => random.int(2) === 0);
  // What is the default need not be said.
  const isSaid = random.int(8) > 0;
  if (isSaid) words.push('--group-by', groupBy.map((key) => pick(random, names[key])).join(','));
  const unsafeAllowRemoveAll = random.int(10) === 0;
  if (unsafeAllowRemoveAll) words.push('--unsafe-allow-remove-all');
  const common = { policy, filter: filter.filter, unsafeAllowRemoveAll, dryRun: true, lock: false };
  return { words: [...words, ...filter.words], options: isSaid ? { ...common, groupBy } : common };
}

function randomFilter(random: Random): { words: string[]; filter: NonNullable<ForgetByPolicyOptions['filter']> } {
  const hosts: string[] = [];
  while (random.int(5) === 0) hosts.push(pick(random, HOSTS));
  const paths = random.int(6) === 0 ? [pick(random, pick(random, PATHS))] : [];
  const tags: string[][] = [];
  while (random.int(8) === 0) tags.push([...pick(random, TAG_LISTS)]);
  const words = [
    ...hosts.flatMap((host) => ['--host', host]),
    ...paths.flatMap((path) => ['--path', path]),
    ...tags.flatMap((list) => ['--tag', list.join(',')]),
  ];
  // An empty name alone takes back a default, which there is none of here.
  return { words, filter: { hosts: hosts.join() === '' && hosts.length === 1 ? [] : hosts, paths, tags } };
}

/** In any order, with noughts, and perhaps a unit twice: the last one counts. */
function randomSpan(random: Random): string {
  const parts = [`${random.int(8)}y`, `${random.int(30)}m`, `${random.int(100)}d`, `${random.int(2000)}h`];
  while (random.int(3) > 0) {
    const at = random.int(parts.length);
    parts.push(...parts.splice(at, 1));
  }
  const some = parts.filter(() => random.int(2) === 0).join('') || '1m';
  return random.int(10) === 0 ? `${some}${random.int(3)}d` : some;
}

/** What both can be compared by: `undefined` when the request is refused. */
type Verdict = Record<string, { keep: string[]; remove: string[]; reasons: string[][] }> | undefined;

const REFUSED = /refusing to delete last snapshot|no policy was specified|is not allowed unless/;

/** Names of snapshots; twins have the same one, for which of them comes first is a matter of luck for restic. */
type Names = ReadonlyMap<string, string>;

function namesOf({ snapshots }: RandomRepository): Names {
  const times = Map.groupBy(snapshots, ({ time }) => time);
  return new Map(snapshots.map(({ id, time }) => [id, times.get(time)?.length === 1 ? id : `twin of ${time}`]));
}

/** Who is asked, and where. */
interface Asking {
  readonly cli: Cli;
  readonly restic: Restic;
  readonly names: Names;
  readonly zone: Zone;
}

async function askRestic({ restic, names, zone }: Asking, words: readonly string[]): Promise<Verdict> {
  const args = ['forget', '--dry-run', '--no-lock', '--json', ...words];
  const { status, stdout, stderr } = await restic.run(args, { env: { TZ: zone } });
  if (status !== 0) {
    expect(stderr).toMatch(REFUSED);
    return undefined;
  }
  return verdictOf(stdout, names);
}

function verdictOf(stdout: string, names: Names): Verdict {
  const groups = (stdout === '' ? [] : JSON.parse(stdout)) as Message[];
  const ids = (list: Message[] | null): string[] => (list ?? []).map(({ id }) => names.get(String(id)) ?? 'unknown');
  return Object.fromEntries(
    groups.map(({ host, paths, tags, keep, remove, reasons }) => {
      const why = (reasons ?? []) as Message[];
      expect(ids(why.map(({ snapshot }) => snapshot as Message))).toEqual(ids(keep));
      const matches = why.map((reason) => reason['matches'] as string[]);
      return [JSON.stringify([host, paths, tags]), { keep: ids(keep), remove: ids(remove), reasons: matches }];
    }),
  );
}

async function askOurs(repository: Repository, names: Names, { options }: Request): Promise<Verdict> {
  const verdict = ({ key, keep, remove }: ForgetGroup): [string, NonNullable<Verdict>[string]] => [
    JSON.stringify([key.hostname, key.paths, key.tags]),
    {
      keep: keep.map(({ snapshot }) => names.get(snapshot.id) ?? 'unknown'),
      remove: remove.map(({ id }) => names.get(id) ?? 'unknown'),
      reasons: keep.map(({ reasons }) => [...reasons]),
    },
  ];
  try {
    return Object.fromEntries((await forget(repository, options)).groups.map(verdict));
  } catch (error) {
    if (EngineError.is(error, 'bad-request')) return undefined;
    throw error;
  }
}

/** Everything that `forget` prints, its groups in order, twins without what tells them apart. */
function outputOf(run: ResticRun, names: Names): unknown {
  const { status, stdout, stderr } = run;
  if (status !== 0) return { status, refused: REFUSED.test(stderr) };
  if (stdout !== '' && !stdout.startsWith('[')) {
    const shortNames = new Map(
      [...names].map(([id, name]) => [id.slice(0, 8), name.startsWith('twin') ? '(a twin)' : id]),
    );
    return groupsOf({ ...run, stdout: stdout.replaceAll(/\b[0-9a-f]{8}\b/g, (id) => shortNames.get(id) ?? id) });
  }
  const groups = JSON.parse(stdout === '' ? '[]' : stdout, (_key, value: Message | null) =>
    String(names.get(String(value?.['id']))).startsWith('twin') ? { time: value?.['time'] as string } : value,
  ) as Message[];
  const keyOf = ({ host, paths, tags }: Message): string => JSON.stringify([host, paths, tags]);
  return { status, stderr, groups: Object.fromEntries(groups.map((group) => [keyOf(group), group])) };
}

/** How the requests at one repository ended. */
async function compareInZone(peer: Peer, zone: Zone, count: number): Promise<{ groups: number; refused: number }> {
  using dir = makeTempDir();
  const path = join(dir.path, 'repo');
  await initAt(path);
  const random = randomFrom(SEED * 64 + ZONES.indexOf(zone) * 2 + 1);
  const local = zone === 'UTC' ? UTC : parseTzif(readFileSync(`/usr/share/zoneinfo/${zone}`));
  await using repository = await openAt(path, { workers: 0, platform: { ...nodePlatform(), zone: local } });
  const names = namesOf(await fillRandomly(repository, random, { snapshots: SNAPSHOTS, trees: 3, twins: true }));
  const restic = resticAt(peer, { repo: path });
  using cli = startCli({ repo: path });
  const requests = Array.from({ length: count }, () => randomRequest(random));
  const ends = { groups: 0, refused: 0 };
  const ask: Asking = { cli, restic, names, zone };
  const lane = async (): Promise<void> => {
    for (let request = requests.pop(); request !== undefined; request = requests.pop()) {
      const { words } = request;
      const title = `RANDOM_SEED=${SEED} TZ=${zone} restic forget ${words.map((word) => `'${word}'`).join(' ')}`;
      const theirs = await askRestic(ask, words);
      expect(await askOurs(repository, names, request), title).toEqual(theirs);
      if (theirs === undefined) ends.refused += 1;
      else ends.groups += Object.keys(theirs).length;
      const left = requests.length;
      if (left % 20 === 0) await compareCommands(ask, [...words, '--json'], title);
      else if (left % 20 === 10) await compareCommands(ask, [...words, left % 40 === 10 ? '-v' : '--compact'], title);
    }
  };
  // While one waits for restic, another one may ask.
  await Promise.all([lane(), lane(), lane()]);
  return ends;
}

/** The commands must print the same, as JSON and as tables. */
async function compareCommands(ask: Asking, words: readonly string[], title: string): Promise<void> {
  const { cli, restic, names, zone } = ask;
  const options = { env: { TZ: zone } };
  const args = ['forget', '--dry-run', '--no-lock', ...words];
  const [own, other] = await Promise.all([cli.run(args, options), restic.run(args, options)]);
  expectSameValue(outputOf(own, names), outputOf(other, names), title);
}

await describeWithPeer('restic', 'forget beside restic', (peer) => {
  it.each(ZONES)(
    `keeps what restic keeps, for the same reasons, under random policies in the zone %s (of ${POLICIES} in all)`,
    async (zone) => {
      const count = Math.ceil(POLICIES / ZONES.length);
      const { groups, refused } = await compareInZone(peer, zone, count);
      // Verdicts are what is compared, not refusals.
      expect(refused).toBeLessThan(count / 2);
      expect(groups).toBeGreaterThan(count);
    },
    120_000 + POLICIES * 400,
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
      const [own, other] = await both(place, 'forget', '--dry-run', '--no-lock', ...words);
      expect(groupsOf(own), words.join(' ')).toEqual(groupsOf(other));
    }
    const [own, other] = await both(
      place,
      'forget',
      '--dry-run',
      '--no-lock',
      '--keep-last',
      '1',
      '--group-by',
      'host',
      '--json',
    );
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
