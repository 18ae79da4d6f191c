import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  backup,
  copy,
  EngineError,
  initRepository,
  listSnapshots,
  memoryBackend,
  prune,
  restore,
  snapshotFs,
} from 'restic-engine';
import type { Backend, RestoreResult, SnapshotEntry } from 'restic-engine';
import { expect, it } from 'vitest';
import { CHEAPEST, endOf, filesOf, openStore, storeOf } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { contentsOf } from './contents.ts';
import type { Contents } from './contents.ts';
import { DAMAGES } from './damages.ts';
import type { Damage } from './damaging.ts';
import { repairAll } from './repairs.ts';
import { checkAll, forAll, forgetDays, makeHistory, backupOfDay } from './repository.ts';

// A damaged repository in use, before anybody repairs it: what is sound can be had, what is not is named and never handed
// out as something else, and nothing makes it worse.

const history = makeHistory();
const pristine = history.then(async (files) => contentsOf(await storeOf(files)));

async function damaged(make: (store: Backend) => Promise<void>): Promise<Backend> {
  const store = await storeOf(await history);
  await make(store);
  return store;
}

/** What can be read, nothing when not even the index can. */
async function readable(store: Backend): Promise<Contents> {
  try {
    return await contentsOf(store);
  } catch (error) {
    if (!EngineError.is(error)) throw error;
    return new Map();
  }
}

function expectAll(found: Contents, wanted: Contents): void {
  for (const [name, content] of wanted) expect(found.get(name), name).toBe(content);
}

async function snapshotsOf(store: Backend): Promise<SnapshotEntry[]> {
  const repository = await openStore(store);
  return all(listSnapshots(repository, { onBroken: () => undefined }));
}

/** The names of what errors are about, or are below. */
function isNamed(errors: RestoreResult['errors'], path: string): boolean {
  return errors.some((error) => path === error.path || path.startsWith(error.path === '/' ? '/' : `${error.path}/`));
}

/** Several at once: most of the time is spent waiting for locks to settle. */
async function withEach(work: (damage: Damage) => Promise<void>, damages: readonly Damage[] = DAMAGES): Promise<void> {
  await forAll(damages, async (damage) => {
    try {
      await work(damage);
    } catch (cause) {
      throw new Error(`with ${damage.title}: ${String(cause)}`, { cause });
    }
  });
}

it('a restore brings what is sound, and names the rest', async () => {
  await withEach(async ({ make }) => {
    const store = await damaged(make);
    const sound = await readable(store);
    const repository = await openStore(store);
    for (const { id, tags: [day] = [] } of await snapshotsOf(store)) {
      using folder = makeTempDir();
      let result: Pick<RestoreResult, 'errors'> = { errors: [] };
      const outcome = await endOf(async () => {
        result = await restore(repository, { snapshot: id, target: folder.path, lock: false });
      });
      for (const [name, content] of await pristine) {
        const [, path = ''] = /^\d (.*)$/s.exec(name) ?? [];
        if (!name.startsWith(`${day} `) || content === 'dir') continue;
        if (outcome !== 'success') expect(sound.has(name), name).toBe(false);
        else if (isNamed(result.errors, path)) expect(sound.has(name), name).toBe(false);
        else expect(readFileSync(join(folder.path, path)).toString('base64'), name).toBe(content);
      }
    }
  });
}, 60_000);

it('a file system shows what is sound, and fails for the rest', async () => {
  await withEach(async ({ make }) => {
    const store = await damaged(make);
    const fs = snapshotFs(await openStore(store), { pathTemplates: ['%I'] });
    const shown = new Map<string, string>();
    for (const { id, tags: [day] = [] } of await snapshotsOf(store)) {
      for (const [name, content] of await pristine) {
        if (!name.startsWith(`${day} `) || content === 'dir') continue;
        await endOf(async () => {
          shown.set(name, Buffer.from(await fs.readFile(`/${id}${name.slice(2)}`)).toString('base64'));
        });
      }
    }
    expect(await pristine).toEqual(new Map([...(await pristine), ...shown]));
    const sound = [...(await readable(store))].filter(([name, content]) => /^\d/.test(name) && content !== 'dir');
    expect([...shown.keys()]).toEqual(expect.arrayContaining(sound.map(([name]) => name)));
  });
}, 60_000);

it('a copy has whole snapshots only', async () => {
  await withEach(async ({ make }) => {
    const store = await damaged(make);
    const before = await filesOf(store);
    const target = memoryBackend();
    await initRepository({ backend: target, password: PASSWORD, kdf: CHEAPEST });
    const onBroken = (): void => undefined;
    await endOf(async () => {
      await copy(await openStore(store), await openStore(target), { lockSource: false, onBroken });
    });
    const { errors } = await checkAll(target);
    expect(errors.filter(({ kind }) => kind !== 'node-broken')).toEqual([]);
    expectAll(await pristine, new Map([...(await contentsOf(target))].filter(([name]) => /^\d/.test(name))));
    expect(await filesOf(store)).toEqual(before);
  });
}, 60_000);

/** Prune reads only what it copies: of two copies it may keep the one of which nobody has said yet that it is damaged. */
const HIDDEN_COPY = 'damage to one of two copies';

it('a prune loses nothing, or refuses', async () => {
  await withEach(
    async ({ make }) => {
      const store = await damaged(make);
      await forgetDays(await openStore(store), [1]);
      const sound = await readable(store);
      const before = await filesOf(store);
      const outcome = await endOf(async () => prune(await openStore(store), { maxUnused: 0 }));
      if (outcome !== 'success' && outcome !== 'corrupt') expect(await filesOf(store)).toEqual(before);
      expectAll(await readable(store), sound);
    },
    DAMAGES.filter(({ title }) => title !== HIDDEN_COPY),
  );
}, 60_000);

it('a backup takes nothing away, and heals what the repaired index misses', async () => {
  await withEach(async ({ make }) => {
    const store = await damaged(make);
    const sound = await readable(store);
    const again = async (): Promise<void> => {
      for (const day of [0, 1, 2, 3, 4]) await backup(await openStore(store), backupOfDay(day));
    };
    await endOf(again);
    expectAll(await readable(store), sound);
    // Who has the contents still need not remove anything of snapshots.
    await repairAll(store, new Map(), ['repair-snapshots', 'recover']);
    await again();
    const days = new Set((await snapshotsOf(store)).flatMap(({ tags = [] }) => tags));
    const whole = [...(await pristine)].filter(([name]) => days.has(name.slice(0, 1)));
    expectAll(await contentsOf(store), new Map(whole));
  });
}, 60_000);
