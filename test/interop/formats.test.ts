import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, files, findLatest, listKeys, listSnapshots, objects, readFile, walk } from 'restic-engine';
import type { Repository } from 'restic-engine';
import type { IndexedRepository } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { randomFrom } from '../support/random.ts';
import { all, bytesOf, CHEAP, initAt, openAt } from '../support/repository.ts';
import { resticAt, type Message, type Restic } from '../support/restic.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';

// Every kind of file we write goes through restic's parser, and through the commands of restic that rewrite it.

interface Place extends AsyncDisposable {
  readonly folder: TempDir;
  readonly repo: string;
  readonly target: string;
  readonly restic: Restic;
  readonly repository: Repository;
}

/** What somebody reading the repository sees: every snapshot's tree and the content of every file. */
async function contentsOf(repository: Repository): Promise<Record<string, string>> {
  const snapshots = await all(listSnapshots(repository));
  const indexed = await repository.loadIndex();
  const found: Record<string, string> = {};
  for (const { tree, time } of snapshots) {
    for await (const { path, node } of walk(indexed, tree)) {
      if (node.type === 'file') found[`${time} ${path}`] = (await bytesOf(readFile(indexed, node))).toString('base64');
    }
  }
  return found;
}

await describeWithPeer('restic', 'our files', (peer) => {
  /** A repository with three snapshots that share much, in several packs and indexes. */
  async function makePlace(version: 1 | 2): Promise<Place> {
    const folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    const target = join(folder.path, 'target');
    mkdirSync(join(target, 'sub'), { recursive: true });
    const random = randomFrom(3);
    writeFileSync(join(target, 'random'), random.bytes(5 << 20));
    writeFileSync(join(target, 'text'), 'text that compresses\n'.repeat(50_000));
    writeFileSync(join(target, 'empty'), '');
    for (let i = 0; i < 200; i++) writeFileSync(join(target, 'sub', `file ${i}`), random.bytes(random.int(3000)));
    await initAt(repo, { version });
    const repository = await openAt(repo, { workers: 0, packSize: 4 << 20 });
    await backup(repository, { source: files({ targets: [target] }), tags: ['one', 'Ümläut <2>'] });
    writeFileSync(join(target, 'random'), random.bytes(2 << 20));
    await backup(repository, {
      source: files({ targets: [target] }),
      excludes: ['*.tmp', '<&>"'],
      hostname: 'elsewhere',
    });
    await backup(repository, { source: objects([{ path: 'a/b', content: 'made up' }]), username: 'nöbody' });
    return {
      folder,
      repo,
      target,
      restic: resticAt(peer, { repo }),
      repository,
      async [Symbol.asyncDispose]() {
        await repository[Symbol.asyncDispose]();
        folder[Symbol.dispose]();
      },
    };
  }

  const versions = [1, 2] as const;

  describe.each(versions)('of version %i', (version) => {
    it('are listed by restic as they are here', async () => {
      await using place = await makePlace(version);
      const { restic, repository } = place;
      const listed = async (type: string): Promise<string[]> =>
        (await restic.ok(['list', type])).trim().split('\n').toSorted();
      const names = async (type: 'data' | 'index' | 'snapshot' | 'key'): Promise<string[]> =>
        (await all(repository.list(type))).map(({ name }) => name).toSorted();
      expect(await listed('packs')).toEqual(await names('data'));
      expect((await names('data')).length).toBeGreaterThan(3);
      expect(await listed('index')).toEqual(await names('index'));
      expect(await listed('snapshots')).toEqual(await names('snapshot'));
      expect(await listed('keys')).toEqual((await listKeys(repository)).map(({ id }) => id));
      const indexed = await repository.loadIndex();
      const blobs = await listed('blobs');
      expect(new Set(blobs).size).toBe(blobs.length);
      expect(blobs).toHaveLength(indexed.table.size);
      for (const blob of blobs) {
        const [type, id] = blob.split(' ');
        expect(indexed.has(type as 'data' | 'tree', id!), blob).toBe(true);
      }
    });

    it('are printed by restic as they are here', async () => {
      await using place = await makePlace(version);
      const { restic, repository } = place;
      const { config } = repository;
      const cat = async (...words: string[]): Promise<Message> =>
        JSON.parse(await restic.ok(['cat', ...words])) as Message;
      expect(await cat('config')).toEqual({ version, id: config.id, chunker_polynomial: config.chunkerPolynomial });
      expect(await cat('key', repository.keyId!)).toMatchObject({ ...CHEAP, kdf: 'scrypt' });
      for await (const snapshot of listSnapshots(repository)) {
        const { summary, id } = snapshot;
        expect(await cat('snapshot', id)).toEqual({
          time: snapshot.time,
          ...(snapshot.parent && { parent: snapshot.parent }),
          tree: snapshot.tree,
          paths: snapshot.paths,
          hostname: snapshot.hostname,
          username: snapshot.username,
          ...(snapshot.uid && { uid: snapshot.uid, gid: snapshot.gid }),
          ...(snapshot.excludes && { excludes: snapshot.excludes }),
          ...(snapshot.tags && { tags: snapshot.tags }),
          program_version: snapshot.programVersion,
          summary: expect.objectContaining({
            backup_start: summary?.backupStart,
            files_new: summary?.filesNew,
            data_added_packed: summary?.dataAddedPacked,
          }),
        });
      }
      const [index] = (await all(repository.list('index'))).map(({ name }) => name);
      const packs = new Set((await all(repository.list('data'))).map(({ name }) => name));
      for (const pack of (await cat('index', index!))['packs'] as { id: string }[]) expect(packs).toContain(pack.id);
      const { tree } = (await findLatest(repository))!;
      const plain = await (await repository.loadIndex()).loadTreeBytes(tree);
      expect(await restic.ok(['cat', 'tree', `${(await findLatest(repository))!.id}`])).toBe(
        Buffer.from(plain).toString(),
      );
    });

    it('are listed node by node', async () => {
      await using place = await makePlace(version);
      const { restic, repository } = place;
      const indexed: IndexedRepository = await repository.loadIndex();
      for await (const { id, tree } of listSnapshots(repository)) {
        const nodes = (await restic.json(['ls', id])).filter((each) => each['message_type'] === 'node');
        const ours = (await all(walk(indexed, tree))).map(({ path, node }) => ({
          name: node.name,
          type: node.type,
          path,
          uid: node.uid,
          gid: node.gid,
          mode: node.mode,
          mtime: node.mtime,
          ...(node.size && { size: node.size }),
        }));
        // restic leaves the content out, and a size that is 0 for files only.
        expect(nodes).toHaveLength(ours.length);
        for (const [i, node] of nodes.entries()) expect(node).toMatchObject(ours[i]!);
      }
    });

    it('survive prune, repair index and forget', async () => {
      await using place = await makePlace(version);
      const { restic, repository } = place;
      const before = await contentsOf(repository);
      const { id: latest } = (await findLatest(repository))!;
      expect(await restic.ok(['repair', 'index', '--read-all-packs'])).toContain('done');
      expect(await contentsOf(repository)).toEqual(before);

      const elsewhere = await findLatest(repository, { filter: { hosts: ['elsewhere'] } });
      await restic.ok(['forget', elsewhere!.id, '--prune', '--max-unused', '0']);
      const left = await contentsOf(repository);
      expect(Object.keys(left).length).toBeLessThan(Object.keys(before).length);
      expect(before).toMatchObject(left);
      expect((await findLatest(repository))?.id).toBe(latest);
      expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
      // And we go on in what restic has packed anew.
      const again = await backup(repository, {
        source: files({ targets: [place.target] }),
        hostname: 'elsewhere',
        force: true,
      });
      expect(again.errors).toEqual([]);
      expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    });

    it('can be copied by restic, to the other version too', async () => {
      await using place = await makePlace(version);
      const { folder, restic, repository, repo } = place;
      const other = join(folder.path, 'other');
      await initAt(other, { version: version === 1 ? 2 : 1, chunkerPolynomial: repository.config.chunkerPolynomial });
      const from = { RESTIC_FROM_REPOSITORY: repo, RESTIC_FROM_PASSWORD: 'correct horse battery staple' };
      await restic.ok(['copy'], { repo: other, env: from });
      await using copy = await openAt(other, { workers: 0 });
      expect(await contentsOf(copy)).toEqual(await contentsOf(repository));
      expect(await restic.ok(['check', '--read-data'], { repo: other })).toContain('no errors were found');
      // Nothing is new where everything has been copied.
      const again = await backup(copy, { source: files({ targets: [place.target] }), force: true });
      expect(again.summary.dataBlobs).toBe(0);
    });
  });

  it('are upgraded by restic', async () => {
    await using place = await makePlace(1);
    const before = await contentsOf(place.repository);
    await place.restic.ok(['migrate', 'upgrade_repo_v2']);
    await place.restic.ok(['prune', '--repack-uncompressed', '--max-unused', '0']);
    await using upgraded = await openAt(place.repo, { workers: 0 });
    expect(upgraded.config.version).toBe(2);
    expect(await contentsOf(upgraded)).toEqual(before);
  });
});
