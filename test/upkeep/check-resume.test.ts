import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { check } from 'restic-engine';
import type { Backend, CheckOptions, CheckResult, Id } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { openStore, storeOf } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { startCli } from '../support/cli.ts';
import { resticCommand } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { copyToFolder, makeHistory } from './repository.ts';

// A check that reads everything and is interrupted need not read it again.

const history = makeHistory();

type SoundPacks = Map<Id, number>;

/** Checks, reading packs, and is told to end when `until` of them are known to be sound. */
async function read(
  store: Backend,
  options: CheckOptions = {},
  until = Infinity,
): Promise<{ result: CheckResult | undefined; sound: SoundPacks }> {
  const sound: SoundPacks = new Map();
  const stop = new AbortController();
  const onSoundPack = (pack: Id, bytes: number): void => {
    sound.set(pack, bytes);
    if (sound.size >= until) stop.abort();
  };
  const checking = check(await openStore(store), {
    readData: true,
    lock: false,
    signal: stop.signal,
    onSoundPack,
    ...options,
  });
  const result = await checking.catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
    return undefined;
  });
  return { result, sound };
}

async function packsIn(store: Backend): Promise<Id[]> {
  return (await all(store.list('data'))).map(({ name }) => name);
}

/** Inverts a byte in the middle of a pack. */
async function flip(store: Backend, name: Id): Promise<void> {
  const bytes = await store.load({ type: 'data', name });
  bytes[bytes.length >> 1]! ^= 0xff;
  await store.save({ type: 'data', name }, [bytes]);
}

describe('a check that goes on', () => {
  it('reads each pack once, however often it is interrupted', async () => {
    const store = await storeOf(await history);
    const packs = await packsIn(store);
    const known: SoundPacks = new Map();
    for (const share of [1, 2, 3]) {
      const { result, sound } = await read(store, { soundPacks: known }, share);
      expect(result).toBeUndefined();
      for (const [pack, bytes] of sound) {
        expect(known.has(pack)).toBe(false);
        known.set(pack, bytes);
      }
    }
    expect(known.size).toBeLessThan(packs.length);
    const taken = known.size;
    const counts: [number, number | undefined][] = [];
    const { result, sound } = await read(store, {
      soundPacks: known,
      onProgress: ({ phase, done, total }) => void (phase === 'data' && counts.push([done, total])),
    });
    expect(result).toMatchObject({ errors: [], packsTakenOver: taken, packsRead: packs.length - taken });
    expect([...known.keys(), ...sound.keys()].toSorted()).toEqual(packs.toSorted());
    expect([counts[0], counts.at(-1)]).toEqual([
      [taken + 1, packs.length],
      [packs.length, packs.length],
    ]);
  });

  it('tells again of what the interrupted one found', async () => {
    const store = await storeOf(await history);
    const [broken = ''] = await packsIn(store);
    await flip(store, broken);
    const first = await read(store);
    expect(first.result?.damagedPacks).toEqual([broken]);
    expect(first.sound.has(broken)).toBe(false);
    const second = await read(store, { soundPacks: first.sound });
    expect(second.result).toMatchObject({ damagedPacks: [broken], packsRead: 1 });
    expect(second.result?.errors.map(({ kind }) => kind)).toContain('pack-damaged');
  });

  it('counts on no pack that has gone, or has become another one', async () => {
    const store = await storeOf(await history);
    const [gone = '', changed = '', ...others] = await packsIn(store);
    const { sound } = await read(store);
    await store.remove({ type: 'data', name: gone });
    const bytes = await store.load({ type: 'data', name: changed });
    await store.save({ type: 'data', name: changed }, [bytes.subarray(1)]);
    const { result } = await read(store, { soundPacks: sound });
    expect(result).toMatchObject({ packsTakenOver: others.length, packsRead: 1 });
    const kinds = result?.errors.flatMap(({ kind, pack }) => (pack === gone || pack === changed ? [kind] : []));
    expect(kinds).toEqual(expect.arrayContaining(['pack-missing', 'pack-size', 'pack-damaged']));
  });

  it('takes over what belongs to its part only', async () => {
    const store = await storeOf(await history);
    const { sound } = await read(store);
    const { result } = await read(store, { soundPacks: sound, readData: { part: 2, of: 3 } });
    const part = [...sound.keys()].filter((id) => Number.parseInt(id.slice(0, 2), 16) % 3 === 1);
    expect(result).toMatchObject({ packsRead: 0, packsTakenOver: part.length });
    const quick = await read(store, { soundPacks: sound, readData: false });
    expect(quick.result).toMatchObject({ packsRead: 0, packsTakenOver: 0 });
  });
});

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

interface Place {
  readonly repo: string;
  readonly cache: string;
  /** The repository's, and that of its folder in the cache. */
  readonly id: string;
}

function start({ repo, cache }: Place, words: readonly string[]): ChildProcess {
  const { args, env } = resticCommand(['check', '--no-lock', ...words], { repo, cache });
  return spawn(process.execPath, ['--conditions=@restic-engine/source', MAIN, ...args], { env });
}

async function ended(child: ChildProcess): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  await once(child, 'close');
  return { status: child.exitCode, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}

/** The file with what was read: a line for the beginning, and one for each pack. */
function stateAt({ cache, id }: Place): string {
  return join(cache, id, 'restic-engine-check');
}

function writeState(place: Place, text: string): void {
  mkdirSync(dirname(stateAt(place)), { recursive: true });
  writeFileSync(stateAt(place), text);
}

function linesAt(place: Place): string[] {
  const path = stateAt(place);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
}

/** So slow that there is time to interrupt: in KiB/s. */
const SLOWLY = ['--read-data', '--limit-download', '30'];

async function placeIn(folder: string): Promise<Place> {
  const repo = join(folder, 'repo');
  await copyToFolder(await history, repo);
  const { id } = (await openStore(await storeOf(await history))).config;
  return { repo, cache: join(folder, 'cache'), id };
}

/** Checks until it has noted some packs, and is ended by a signal then. */
async function interrupt(place: Place, words: readonly string[], packs: number, by: NodeJS.Signals): Promise<string> {
  const child = start(place, words);
  const ending = ended(child);
  while (linesAt(place).length <= packs && child.exitCode === null) await sleep(5);
  child.kill(by);
  return (await ending).stdout;
}

describe('check --resume', () => {
  it('goes on after a check that was killed, and after one that was interrupted', async () => {
    using folder = makeTempDir();
    const place = await placeIn(folder.path);
    const packs = (await history).filter(({ type }) => type === 'data').length;
    await interrupt(place, SLOWLY, 2, 'SIGKILL');
    const killed = linesAt(place).length - 1;
    const said = await interrupt(place, [...SLOWLY, '--resume'], killed + 1, 'SIGINT');
    const known = linesAt(place).filter((line) => /^[0-9a-f]{64} /.test(line));
    expect(said).toContain(`with --resume, the next check goes on after ${known.length} packs`);
    expect(new Set(known).size).toBe(known.length);
    expect(known.length).toBeGreaterThan(killed);
    expect(known.length).toBeLessThan(packs);

    const { status, stdout } = await ended(start(place, ['--read-data', '--resume', '--json']));
    const summary = JSON.parse(stdout) as Record<string, unknown>;
    expect({ status, ...summary }).toMatchObject({ status: 0, num_errors: 0, packs_taken_over: known.length });
    expect(existsSync(stateAt(place))).toBe(false);
    expect(readdirSync(place.repo).toSorted()).toEqual(['config', 'data', 'index', 'keys', 'locks', 'snapshots']);
  });

  it('begins anew where there is nothing to go on from, or only what is old, and otherwise when it is not asked to', async () => {
    using folder = makeTempDir();
    const place = await placeIn(folder.path);
    using cli = startCli(place);
    const from = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();
    const takenOver = async (state: string | undefined, flags: readonly string[]): Promise<string | undefined> => {
      if (state !== undefined) writeState(place, state);
      const { stdout } = await cli.run(['check', '--no-lock', '--read-data', ...flags]);
      return /^(\d+) packs were read by an interrupted check/m.exec(stdout)?.[1];
    };
    const packs = (await history).filter(({ type }) => type === 'data');
    const lines = packs.slice(0, 4).map(({ name, bytes }) => `${name} ${bytes.length}\n`);
    expect(await takenOver(undefined, ['--resume'])).toBe('0');
    writeState(place, `restic-engine check 1 ${from(2)}\n${lines.join('')}`);
    // What is read by chance says nothing of a check that is to go on.
    expect((await cli.run(['check', '--no-lock', '--read-data-subset', '20%'])).status).toBe(0);
    expect(await takenOver(undefined, ['--resume'])).toBe('4');
    expect(await takenOver(`restic-engine check 1 ${from(29)}\n${lines.join('')}`, ['--resume'])).toBe('4');
    const cut = lines.join('').slice(0, -10);
    expect(await takenOver(`restic-engine check 1 ${from(29)}\n${cut}`, ['--resume'])).toBe('3');
    expect(await takenOver(`restic-engine check 1 ${from(31)}\n${lines.join('')}`, ['--resume'])).toBe('0');
    expect(await takenOver(`something else\n${lines.join('')}`, ['--resume'])).toBe('0');
    expect(await takenOver(`restic-engine check 1 ${from(1)}\n${lines.join('')}`, [])).toBeUndefined();
    expect(existsSync(stateAt(place))).toBe(false);
  });

  it('refuses what makes no sense', async () => {
    using folder = makeTempDir();
    const { repo, cache } = await placeIn(folder.path);
    using cli = startCli({ repo, cache });
    const cases = [
      [['--read-data', '--resume', '--no-cache'], '--no-cache'],
      [['--resume'], '--read-data'],
      [['--resume', '--read-data-subset', '10%'], 'by chance'],
    ] as const;
    for (const [words, reason] of cases) {
      const { status, stderr } = await cli.run(['check', ...words]);
      expect(status).toBe(1);
      expect(stderr).toContain(reason);
    }
    expect(existsSync(cache)).toBe(false);
  });
});
