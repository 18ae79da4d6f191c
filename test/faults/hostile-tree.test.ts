import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  check,
  copy,
  findNode,
  initRepository,
  memoryBackend,
  prune,
  readFile,
  recover,
  repairSnapshots,
  restore,
  rewrite,
  walk,
} from 'restic-engine';
import type { Backend, Repository } from 'restic-engine';
import { encodeNode, joinTree } from '@restic-engine/repo-format';
import type { Id, Node } from '@restic-engine/repo-format';
import { withUpload } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { CHEAPEST, makeSealed, openStore, outcomeOf, saveSnapshot } from '../support/damage.ts';
import { all, bytesOf } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// Who can write to a repository chooses the names and the depth of trees; not where on a disk they end up.

const TIME = '2024-01-01T00:00:00Z';
const COMMON = { mtime: TIME, atime: TIME, ctime: TIME, uid: 0, gid: 0 } as const;
const folder = (name: string, subtree: Id): Node => ({
  ...COMMON,
  name,
  type: 'dir',
  mode: 2 ** 31 + 0o755,
  content: null,
  subtree,
});
const file = (name: string, content: readonly Id[]): Node => ({
  ...COMMON,
  name,
  type: 'file',
  mode: 0o644,
  size: 4,
  content,
});

/** All that upkeep does with trees, one after the other on the same repository. Each ends well or with a code, and soon. */
async function expectUpkeep(store: Backend): Promise<void> {
  const target = memoryBackend();
  await initRepository({ backend: target, password: PASSWORD, kdf: CHEAPEST });
  for (const { name } of await all(store.list('lock'))) await store.remove({ type: 'lock', name });
  const works: readonly ((repository: Repository) => Promise<unknown>)[] = [
    (repository) => check(repository, { readData: true }),
    async (repository) => copy(repository, await openStore(target)),
    (repository) => rewrite(repository, { exclude: ['other'], newHost: 'other' }),
    (repository) => repairSnapshots(repository),
    (repository) => prune(repository, { maxUnused: 0 }),
    (repository) => recover(repository),
  ];
  for (const work of works) await outcomeOf(async () => work(await openStore(store)));
  for (const { kind } of (await check(await openStore(store), { readData: true })).errors) {
    expect(['tree-broken', 'node-broken']).toContain(kind);
  }
  expect(await all(store.list('lock'))).toEqual([]);
}

describe('a hostile tree', () => {
  it('that is very deep is walked and restored as far as the system goes', async () => {
    const { repository } = await makeSealed();
    const indexed = await repository.loadIndex();
    const depth = 5000;
    const root = await withUpload(indexed, {}, async (upload) => {
      const content = (await upload.save('data', Buffer.from('deep'))).id;
      let { id } = await upload.save('tree', joinTree([encodeNode(file('bottom', [content]))]));
      for (let i = 0; i < depth; i++) ({ id } = await upload.save('tree', joinTree([encodeNode(folder('d', id))])));
      return id;
    });
    let nodes = 0;
    let last: Node | undefined;
    for await (const { node } of walk(indexed, root)) {
      nodes += 1;
      last = node;
    }
    expect(nodes).toBe(depth + 1);
    expect((await bytesOf(readFile(indexed, last!))).toString()).toBe('deep');
    expect((await findNode(indexed, root, `${'d/'.repeat(depth)}bottom`)).name).toBe('bottom');
    using target = makeTempDir();
    const snapshot = await saveSnapshot(repository, root);
    const { errors } = await restore(repository, { snapshot, target: target.path });
    expect(errors.length).toBeGreaterThan(0);
    await expectUpkeep(repository.backend);
  }, 60_000);

  it.each(['../outside', 'a/../../outside', '/outside', '..', '.', '', 'a\0b', 'sub/inside'])(
    'with the name %j writes nothing by that name',
    async (name) => {
      const { repository } = await makeSealed();
      const indexed = await repository.loadIndex();
      const root = await withUpload(indexed, {}, async (upload) => {
        const content = [(await upload.save('data', Buffer.from('evil'))).id];
        const inner = (await upload.save('tree', joinTree([encodeNode(file(name, content))]))).id;
        const nodes = [file(name, content), folder('folder', inner)];
        return (await upload.save('tree', joinTree(nodes.map((node) => encodeNode(node))))).id;
      });
      await outcomeOf(async () => {
        for await (const { node } of walk(indexed, root)) {
          if (node.type === 'file') await bytesOf(readFile(indexed, node));
        }
      });
      using place = makeTempDir();
      const target = join(place.path, 'in', 'target');
      mkdirSync(target, { recursive: true });
      writeFileSync(join(place.path, 'in', 'outside'), 'untouched');
      const snapshot = await saveSnapshot(repository, root);
      await outcomeOf(async () => {
        const { errors } = await restore(repository, { snapshot, target });
        expect(errors.length).toBeGreaterThan(0);
      });
      const found = readdirSync(place.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      expect(found.map((entry) => entry.name)).toEqual(['outside']);
      await expectUpkeep(repository.backend);
    },
  );
});
