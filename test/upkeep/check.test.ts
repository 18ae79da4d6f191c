import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check, EngineError, listSnapshots, localBackend, prune, repairIndex, withFaults, wrap } from 'restic-engine';
import type { FaultCall } from '@restic-engine/backends';
import type { CheckResult } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { resticAt, resticCommand } from '../support/restic.ts';
import type { Message } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { damageOf, DAMAGES } from './damages.ts';
import { checkAll, copyToFolder, makeHistory } from './repository.ts';

// Every kind of damage has a name, and restic agrees that it is damage.

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const history = makeHistory();

const kindsOf = (problems: CheckResult['errors']): string[] =>
  [...new Set(problems.map(({ kind }) => kind))].toSorted();

function run(args: readonly string[], env: Record<string, string>): Promise<{ status: number | null; stdout: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { env }, (_, stdout) => resolve({ status: child.exitCode, stdout }));
  });
}

function summaryIn(stdout: string): Message {
  const last = stdout.trim().split('\n').at(-1) ?? '';
  return JSON.parse(last) as Message;
}

describe('check', () => {
  it('finds nothing in a sound repository, and leaves no lock', async () => {
    const store = await storeOf(await history);
    const packs = (await all(store.list('data'))).length;
    const result = await check(await openStore(store), { readData: true });
    expect(result).toMatchObject({ errors: [], hints: [], packsRead: packs, damagedPacks: [], problems: [] });
    expect(result).toMatchObject({ suggestPrune: false, suggestRepairIndex: false });
    expect(await all(store.list('lock'))).toEqual([]);
  });

  it.each(DAMAGES)('names $title, and what helps', async ({ errors, hints = [], inData, repairs, make }) => {
    const store = await storeOf(await history);
    await make(store);
    const found = await checkAll(store);
    expect(kindsOf(found.errors)).toEqual(errors.toSorted());
    expect(kindsOf(found.hints)).toEqual(hints.toSorted());
    expect(found.repairs).toEqual(repairs);
    const quick = await check(await openStore(store), { lock: false });
    expect(quick.errors.length > 0).toBe(errors.length > 0 && inData !== true);
    expect(quick.packsRead).toBe(0);
  });

  it('tells of what no snapshot needs only when asked', async () => {
    const store = await storeOf(await history);
    const repository = await openStore(store);
    const [gone] = await all(listSnapshots(repository));
    await repository.removeFile('snapshot', gone!.id);
    expect(await check(repository, { lock: false })).toMatchObject({ errors: [], hints: [] });
    const { hints } = await check(repository, { lock: false, checkUnused: true });
    expect(kindsOf(hints)).toEqual(['blob-unused']);
  });

  it('reads the packs it is asked for', async () => {
    const repository = await openStore(await storeOf(await history));
    const packs = (await all(repository.list('data'))).map(({ name }) => name);
    const readBy = async (readData: Parameters<typeof check>[1]): Promise<number> =>
      (await check(repository, { ...readData, lock: false })).packsRead;
    const thirds = await Promise.all([1, 2, 3].map((part) => readBy({ readData: { part, of: 3 } })));
    expect(thirds).toEqual(
      [0, 1, 2].map((rest) => packs.filter((id) => Number.parseInt(id.slice(0, 2), 16) % 3 === rest).length),
    );
    expect(await readBy({ readData: { percent: 50 } })).toBe(packs.length / 2);
    expect(await readBy({ readData: { percent: 0.1 } })).toBe(1);
    expect(await readBy({ readData: { bytes: 10 ** 9 } })).toBe(packs.length);
    await expect(check(repository, { readData: { part: 4, of: 3 } })).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('looks at the snapshots it is given', async () => {
    const store = await storeOf(await history);
    const repository = await openStore(store);
    const [one, ...others] = await all(listSnapshots(repository));
    await damageOf('a file whose content is unknown').make(store);
    expect((await check(repository, { lock: false })).errors).toHaveLength(1);
    const result = await check(repository, { lock: false, snapshots: [one!.id], readData: true });
    expect(result.errors).toEqual([]);
    expect(result.packsRead).toBeLessThan((await check(repository, { lock: false, readData: true })).packsRead);
    expect(others.length).toBeGreaterThan(0);
  });

  it('refuses to work beside others', async () => {
    const repository = await openStore(await storeOf(await history));
    await using _ = await repository.lock();
    for (const work of [check, prune, repairIndex]) {
      await expect(work(repository)).rejects.toMatchObject({ code: 'locked' });
    }
  });

  it('takes a store that fails just now for no damage', async () => {
    const store = await storeOf(await history);
    const isPack = ({ method, type }: FaultCall): boolean => method === 'load' && type === 'data';
    const error = new EngineError('throttled', 'later');
    const failing = withFaults({ faults: [{ when: isPack, effect: { kind: 'fail-before', error } }] });
    const result = await check(await openStore(wrap(store, failing)), { readData: true, lock: false });
    expect(kindsOf(result.errors)).toEqual(['pack-damaged', 'tree-broken']);
    expect(new Set(result.errors.map(({ failure }) => failure))).toEqual(new Set(['throttled']));
    expect(result).toMatchObject({ repairs: [], damagedPacks: [] });
  });

  it('looks again at what arrives damaged', async () => {
    const store = await storeOf(await history);
    const isFirst = ({ method, type }: FaultCall): boolean => method === 'load' && type === 'data';
    const flipping = withFaults({ faults: [{ when: isFirst, nth: 3, effect: { kind: 'flip', offset: 40 } }] });
    const result = await check(await openStore(wrap(store, flipping)), { readData: true, lock: false });
    expect(result.errors).toEqual([]);
  });

  it('ends when it is told to', async () => {
    const repository = await openStore(await storeOf(await history));
    const stop = new AbortController();
    const onProgress = ({ phase }: { phase: string }): void => {
      if (phase === 'data') stop.abort();
    };
    const checking = check(repository, { readData: true, signal: stop.signal, onProgress });
    await expect(checking).rejects.toSatisfy((error) => EngineError.is(error, 'aborted'));
  });
});

describe('repairing the index', () => {
  it.concurrent.each(DAMAGES.filter(({ title, inData }) => /index/.test(title) && inData !== true))(
    'mends $title',
    async ({ make }) => {
      const store = await storeOf(await history);
      const expected = await readEverything(store);
      await make(store);
      await repairIndex(await openStore(store));
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
      expect(await readEverything(store)).toBe(expected);
    },
  );

  it.concurrent.each(DAMAGES.filter(({ title }) => /index/.test(title)))(
    'mends $title by reading all packs',
    async ({ make }) => {
      const store = await storeOf(await history);
      const expected = await readEverything(store);
      await make(store);
      await repairIndex(await openStore(store), { readAllPacks: true });
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
      expect(await readEverything(store)).toBe(expected);
    },
  );

  it('finds every pack again without any index', async () => {
    const files = (await history).filter(({ type }) => type !== 'index');
    const store = await storeOf(files);
    const { readPacks, indexesWritten } = await repairIndex(await openStore(store));
    expect(readPacks).toHaveLength(files.filter(({ type }) => type === 'data').length);
    expect(indexesWritten).toBe(1);
    expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
  });

  it('believes the packs when told to', async () => {
    const store = await storeOf(await history);
    const names = (await all(store.list('index'))).map(({ name }) => name);
    const { readPacks, indexesRemoved } = await repairIndex(await openStore(store), { readAllPacks: true });
    expect(readPacks).toHaveLength((await all(store.list('data'))).length);
    expect(indexesRemoved).toBe(names.length);
    expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
  });
});

it('prune joins trees and data no more, and removes what nobody knows', async () => {
  const store = await storeOf(await history);
  for (const { hints = [], make } of DAMAGES)
    if (hints.includes('pack-mixed') || hints.includes('pack-duplicate')) await make(store);
  await damageOf('a pack that nobody knows').make(store);
  const expected = await readEverything(store);
  await prune(await openStore(store));
  expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
  expect(await readEverything(store)).toBe(expected);
});

await describeWithPeer('restic', 'damage beside restic', (peer) => {
  it.concurrent.each(DAMAGES.filter(({ restic }) => restic !== 'slow'))(
    'is told alike: $title',
    async ({ errors, inData, make }) => {
      using folder = makeTempDir();
      const repo = join(folder.path, 'repo');
      const store = await storeOf(await history);
      await make(store);
      await copyToFolder(await filesOf(store), repo);
      const restic = resticAt(peer, { repo });
      const quick = await restic.run(['check', '--no-lock']);
      expect(quick.status, 'without reading data').toBe(errors.length > 0 && inData !== true ? 1 : 0);
      const theirs = await restic.run(['check', '--read-data', '--json']);
      const ours = await checkAll(store);
      expect(theirs.status).toBe(errors.length > 0 ? 1 : 0);
      const { broken_packs: brokenPacks, ...summary } = summaryIn(theirs.stdout);
      expect(ours.damagedPacks.toSorted()).toEqual((brokenPacks ?? []).toSorted());
      expect(ours.suggestRepairIndex).toBe(summary['suggest_repair_index']);
      expect(ours.suggestPrune).toBe(summary['suggest_prune']);

      await repairIndex(await openStore(localBackend(repo)));
      const after = await restic.run(['check', '--read-data', '--json']);
      const own = await check(await openStore(localBackend(repo)), { readData: true });
      expect(own.errors.length > 0, 'after repairing the index').toBe(after.status !== 0);
    },
  );

  it.concurrent.each(['a flipped bit in a blob', 'a broken index file', 'data of version 1'])(
    'is told alike by the command line: %s',
    async (title) => {
      using folder = makeTempDir();
      const repo = join(folder.path, 'repo');
      const store = await storeOf(await history);
      await damageOf(title).make(store);
      await copyToFolder(await filesOf(store), repo);
      const words = ['check', '--read-data', '--json'];
      const theirs = await resticAt(peer, { repo }).run(words);
      const { args, env } = resticCommand(words, { repo });
      const ours = await run(['--conditions=@restic-engine/source', MAIN, ...args], env);
      expect(ours.status).toBe(theirs.status);
      expect(summaryIn(ours.stdout)).toEqual({ ...summaryIn(theirs.stdout), num_errors: expect.any(Number) });
      expect(summaryIn(ours.stdout)['num_errors'] > 0).toBe(theirs.status === 1);
    },
  );
});
