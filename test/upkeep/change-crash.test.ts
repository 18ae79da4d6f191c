import {
  addKey,
  changePassword,
  check,
  EngineError,
  forget,
  initRepository,
  listKeys,
  listSnapshots,
  memoryBackend,
  openRepository,
  removeKey,
  tag,
} from 'restic-engine';
import type { Backend, Repository } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { CHEAPEST, filesOf, openStore, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { expectSurvival } from './deaths.ts';
import { checkAll, makeHistory } from './repository.ts';

// Snapshots and keys are changed by small files only: whatever interrupts that, each is there as it was or as it is to be,
// and the next run does the rest.

const history = makeHistory();

/** Day and tags of every snapshot. */
async function snapshotsIn(store: Backend): Promise<string[]> {
  const found = await all(listSnapshots(await openStore(store)));
  return found.map(({ tags = [] }) => tags.join(' ')).toSorted();
}

it('tags that change are those before or those after, and no snapshot is there twice in the end', async () => {
  const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
    tag(repository, { add: ['more'], signal });
  const judge = async (store: Backend): Promise<void> => {
    const left = new Set((await snapshotsIn(store)).map((tags) => tags.slice(0, 1)));
    expect([...left]).toEqual(['0', '1', '2', '3', '4']);
    await work(await openStore(store));
    expect(await snapshotsIn(store)).toEqual(['0 more', '1 more', '2 more', '3 more', '4 more']);
    expect((await checkAll(store)).errors).toEqual([]);
  };
  await expectSurvival(await history, work, judge, { errors: true });
}, 120_000);

it('forgetting removes what is to go, and nothing else', async () => {
  const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
    forget(repository, { policy: { last: 2 }, signal });
  const judge = async (store: Backend): Promise<void> => {
    expect(await snapshotsIn(store)).toEqual(expect.arrayContaining(['3', '4']));
    expect((await checkAll(store)).errors).toEqual([]);
    await work(await openStore(store));
    expect(await snapshotsIn(store)).toEqual(['3', '4']);
  };
  await expectSurvival(await history, work, judge, { errors: true });
}, 120_000);

it('a check changes nothing', async () => {
  const files = (await history).filter(({ type }) => type !== 'lock');
  const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
    check(repository, { readData: true, signal });
  const judge = async (store: Backend): Promise<void> => expect(await filesOf(store)).toEqual(files);
  // What cannot be read just now is among its findings.
  await expectSurvival(files, work, judge, { errors: true });
}, 120_000);

describe('keys', () => {
  const OTHER = 'another password';
  const key = { password: OTHER, kdf: CHEAPEST } as const;

  async function makeKeys(count: 1 | 2): Promise<StoredFile[]> {
    const store = memoryBackend();
    await initRepository({ backend: store, password: PASSWORD, kdf: CHEAPEST });
    if (count === 2) await addKey(await openStore(store), key);
    return filesOf(store);
  }

  /** The passwords that open it. */
  async function passwordsOf(store: Backend): Promise<string[]> {
    const found: string[] = [];
    for (const password of [PASSWORD, OTHER]) {
      try {
        await openRepository({ backend: store, password, workers: 0 });
        found.push(password);
      } catch (error) {
        if (!EngineError.is(error, 'wrong-password')) throw error;
      }
    }
    return found;
  }

  it('can be added: the old password opens at every moment', async () => {
    const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
      addKey(repository, { ...key, signal });
    const judge = async (store: Backend): Promise<void> => {
      expect(await passwordsOf(store)).toContain(PASSWORD);
      await work(await openStore(store));
      expect(await passwordsOf(store)).toEqual([PASSWORD, OTHER]);
    };
    await expectSurvival(await makeKeys(1), work, judge, { errors: true });
  }, 120_000);

  it('can be replaced: the old or the new password opens at every moment, and only the new one in the end', async () => {
    const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
      changePassword(repository, { ...key, signal });
    const judge = async (store: Backend): Promise<void> => {
      const [password] = await passwordsOf(store);
      expect(password).toBeDefined();
      await work(await openStore(store, password));
      expect(await passwordsOf(store)).toEqual([OTHER]);
    };
    await expectSurvival(await makeKeys(1), work, judge, { errors: true });
  }, 120_000);

  it('can be removed: the other password opens at every moment', async () => {
    const files = await makeKeys(2);
    const others = (await listKeys(await openStore(await storeOf(files)))).filter(({ current }) => !current);
    const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
      removeKey(repository, others[0]!.id, { signal });
    const judge = async (store: Backend): Promise<void> => {
      expect(await passwordsOf(store)).toContain(PASSWORD);
      await work(await openStore(store)).catch((error: unknown) => {
        // The other run had come to its end.
        if (!EngineError.is(error, 'not-found')) throw error;
      });
      expect(await passwordsOf(store)).toEqual([PASSWORD]);
    };
    await expectSurvival(files, work, judge, { errors: true });
  }, 120_000);
});
