/** Trees that no backup makes. */
import { describe, expect, it } from 'vitest';
import type { Node, Repository } from 'restic-engine';
import { encodeNode, encodeSnapshot, joinTree } from '../../../repo-format/src/index.ts';
import { withUpload } from '../../../repository/src/index.ts';
import { openState } from '../../src/state/open.ts';
import { CHE_CLUSTER, codeOf, INFO, makeRepository, secret } from './harness.ts';

interface Entry {
  readonly name: string;
  readonly type?: Node['type'];
  readonly content?: string;
  readonly children?: readonly Entry[];
  /** A tree that is stored already. */
  readonly subtree?: string;
  readonly size?: number;
  /** How often the content follows itself. */
  readonly times?: number;
}

const TIME = '2026-01-01T00:00:00Z';
const FILES: readonly Entry[] = [
  { name: 'backup-info.yaml', content: INFO },
  { name: 'che-cr.yaml', content: CHE_CLUSTER },
];

type Save = (entries: readonly Entry[]) => Promise<string>;

/** Stores a snapshot whose tree may be anything. */
async function stored(repository: Repository, make: (save: Save) => Promise<string>): Promise<string> {
  const indexed = await repository.loadIndex();
  const tree = await withUpload(indexed, {}, async (upload) => {
    const save: Save = async (entries) => {
      const nodes: Node[] = [];
      for (const { name, type, content, children, subtree, size, times = 1 } of entries) {
        const isFolder = children !== undefined || subtree !== undefined;
        const bytes = new TextEncoder().encode(content ?? '');
        const blob = isFolder || content === undefined ? undefined : (await upload.save('data', bytes)).id;
        const blobs = blob === undefined ? [] : Array.from({ length: times }, () => blob);
        nodes.push({
          name,
          type: type ?? (isFolder ? 'dir' : 'file'),
          mode: 0o644,
          mtime: TIME,
          atime: TIME,
          ctime: TIME,
          uid: 0,
          gid: 0,
          ...(isFolder ? { content: null, subtree: subtree ?? (await save(children ?? [])) } : { content: blobs }),
          ...(isFolder ? {} : { size: size ?? bytes.length }),
        });
      }
      return (await upload.save('tree', joinTree(nodes.map((node) => encodeNode(node))))).id;
    };
    return make(save);
  });
  return repository.saveFile(
    'snapshot',
    encodeSnapshot({ time: TIME, tree, paths: ['/'], hostname: 'h', tags: ['che'] }),
  );
}

describe('a tree that no backup makes', () => {
  it.each<[string, Entry]>([
    ['a name that leads out', { name: '..', content: 'x' }],
    ['a name that leads into a folder', { name: 'secrets/a.yaml', content: secret('a') }],
    ['a name that leads elsewhere', { name: 'secrets', children: [{ name: '../../etc/passwd.yaml', content: 'x' }] }],
    ['a link', { name: 'secrets', type: 'symlink' }],
    ['a device', { name: 'configmaps', children: [{ name: 'a.yaml', type: 'chardev' }] }],
    ['a file twice', { name: 'che-cr.yaml', content: CHE_CLUSTER }],
    ['a folder in the place of a file', { name: 'secrets', children: [{ name: 'a.yaml', children: [] }] }],
  ])('is refused: %s', async (_what, entry) => {
    await using repository = await makeRepository();
    const id = await stored(repository, (save) => save([...FILES, entry]));
    const code = await codeOf(openState(repository, id));
    expect(code).toBe('corrupt');
  });

  it('is not entered however often it holds itself', async () => {
    await using repository = await makeRepository();
    const id = await stored(repository, async (save) => {
      // 2^60 paths, of 60 trees.
      let subtree = await save([]);
      for (let depth = 0; depth < 60; depth++) {
        subtree = await save([
          { name: 'a', subtree },
          { name: 'b', subtree },
        ]);
      }
      return save([...FILES, { name: 'objects', subtree }]);
    });
    expect(await codeOf(openState(repository, id))).toBe('corrupt');
  });

  it('is not read on when a file has more than any object', async () => {
    let loads = 0;
    await using repository = await makeRepository(() => void loads++);
    // 4 GiB, of one blob.
    const endless = { name: 'a.yaml', content: `# ${'x'.repeat(2 ** 22)}\n`, times: 1024 };
    const id = await stored(repository, (save) => save([...FILES, { name: 'secrets', children: [endless] }]));
    const state = await openState(repository, id);
    expect(await codeOf(state.read(state.objects[0]!))).toBe('too-large');
    expect(loads).toBeLessThan(30);
  });

  it('is read to its true size, whatever it says of that', async () => {
    await using repository = await makeRepository();
    const long = `# ${'x'.repeat(9 * 2 ** 20)}`;
    const secrets = [
      { name: 'a.yaml', content: long, size: 10 },
      { name: 'b.yaml', content: secret('b'), size: 2 ** 50 },
    ];
    const id = await stored(repository, (save) => save([...FILES, { name: 'secrets', children: secrets }]));
    const state = await openState(repository, id);
    const codes = await Promise.all(state.objects.slice(0, 2).map((object) => codeOf(state.read(object))));
    expect(codes).toEqual(['too-large', 'nothing was thrown']);
  });
});
