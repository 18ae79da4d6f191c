import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { describeBackend } from '@restic-engine/backends/conformance';
import { backup, initRepository, objects, openBackend, openRepository } from 'restic-engine';
import type { Backend } from 'restic-engine';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { CHEAP } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { startCeph } from './ceph.ts';
import type { Ceph, Keys } from './ceph.ts';
import { openPlace } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';

// What is S3's own; what all servers have in common is tested on this one, too, in the files beside.

showLogsOfFailures();

const MANUAL = readFileSync(new URL('../../docs/backends/s3.md', import.meta.url), 'utf8');
const KEY = 'key' as const;
const content = (seed: number): Uint8Array => createHash('sha512').update(String(seed)).digest();
const fileOf = (bytes: Uint8Array) => ({ type: KEY, name: createHash('sha256').update(bytes).digest('hex') });

/** The code of the error that `work` rejects with. */
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'it did not fail',
    (error: { code: unknown }) => error.code,
  );

await describeWithPeer('ceph', 'S3', (peer) => {
  const running: Ceph[] = [];
  beforeAll(async () => void running.push(await startCeph(peer)));
  afterAll(() => running[0]?.[Symbol.asyncDispose]());
  const ceph = (): Ceph => {
    const [found] = running;
    if (found === undefined) throw new Error('it has not been started yet');
    return found;
  };
  const open = (place: string, keys: Keys, options: Record<string, string> = {}): Promise<Backend> =>
    openBackend(`s3:http://127.0.0.1:${ceph().port}/${place}`, { env: { ...keys }, options });

  let places = 0;
  const secrets: string[] = [];
  const make = async () => {
    places += 1;
    const place = await ceph().place(`place-${places}/a folder/ä&+=@,'()`);
    secrets.push(...place.secrets);
    return openPlace(place);
  };
  describeBackend({ describe, it }, 'Ceph', make, {
    traits: { connections: 5, atomicReplace: true, listAfterWrite: true, canRemove: true },
    secrets,
  });

  describe('who may not', () => {
    const bytes = content(1);
    const file = fileOf(bytes);
    beforeAll(async () => {
      await using backend = await open('mine/p', ceph().keys);
      await backend.create();
      await backend.save(file, [bytes]);
    });

    it.each([
      ['has a wrong secret', { AWS_SECRET_ACCESS_KEY: 'wrong' }],
      ['has a wrong key', { AWS_ACCESS_KEY_ID: 'AKIAUNKNOWN' }],
    ])('use it because he %s is unauthorized', async (_, wrong) => {
      await using backend = await open('mine/p', { ...ceph().keys, ...wrong });
      const codes = await Promise.all(
        [
          backend.load(file),
          backend.load(file, { offset: 1, length: 2 }),
          backend.stat(file),
          backend.save(file, [bytes]),
          backend.remove(file),
          Array.fromAsync(backend.list(KEY)),
        ].map(codeOf),
      );
      expect(codes).toEqual(Array(6).fill('unauthorized'));
    });

    it('write may read', async () => {
      await using backend = await open('mine/p', ceph().readOnlyKeys);
      await backend.create();
      expect(await Array.fromAsync(backend.list(KEY))).toEqual([{ name: file.name, size: bytes.length }]);
      expect(Buffer.compare(await backend.load(file), bytes)).toBe(0);
      const other = content(2);
      await expect(backend.save(fileOf(other), [other])).rejects.toMatchObject({ code: 'denied' });
      await expect(backend.remove(file)).rejects.toMatchObject({ code: 'denied' });
    });

    it('look into the bucket of somebody else is denied', async () => {
      await using backend = await open('mine/p', await ceph().userWithQuota(1_000_000));
      // That it is there is all that is told.
      await backend.create();
      await expect(backend.load(file)).rejects.toMatchObject({ code: 'denied' });
      await expect(backend.stat(file)).rejects.toMatchObject({ code: 'denied' });
      await expect(Array.fromAsync(backend.list(KEY))).rejects.toMatchObject({ code: 'denied' });
    });

    it('know who he is gets what is public: nothing', async () => {
      await using backend = await open('mine/p', ceph().keys, { 's3.unsafe-anonymous-auth': 'true' });
      await expect(backend.load(file)).rejects.toMatchObject({ code: 'denied' });
    });
  });

  it('says that there is no bucket', async () => {
    await using backend = await open('missing', ceph().keys);
    await expect(backend.load({ type: 'config', name: '' })).rejects.toThrow('there is no such bucket');
    expect(await Array.fromAsync(backend.list(KEY))).toEqual([]);
  });

  it('says that the quota is used up', async () => {
    await using backend = await open('small', await ceph().userWithQuota(100_000));
    await backend.create();
    const save = async (seed: number): Promise<void> => {
      const bytes = Buffer.alloc(40_000, content(seed));
      await backend.save(fileOf(bytes), [bytes]);
    };
    const saves = async (): Promise<void> => {
      for (let seed = 0; seed < 100; seed += 1) await save(seed);
    };
    await expect(saves()).rejects.toMatchObject({ code: 'no-space' });
  });

  it.each([-3_600_000, 3_600_000])('says that the clock is wrong by %i ms', async (wrong) => {
    await using backend = await open('clock', ceph().keys);
    await backend.create();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + wrong });
    try {
      const bytes = content(3);
      const works = [backend.save(fileOf(bytes), [bytes]), Array.fromAsync(backend.list(KEY))];
      expect(await Promise.all(works.map(codeOf))).toEqual(['clock-skew', 'clock-skew']);
    } finally {
      vi.useRealTimers();
    }
  });

  it('keeps no file whose content is not what its name says', async () => {
    await using backend = await open('names', ceph().keys);
    await backend.create();
    const file = fileOf(content(4));
    await expect(backend.save(file, [content(5)])).rejects.toMatchObject({ code: 'corrupt' });
    await expect(backend.stat(file)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('lists more than a page with the older request, too', async () => {
    const names: string[] = [];
    for (const [options, first] of [
      [{}, 0],
      [{ 's3.list-objects-v1': 'true' }, 600],
    ] as const) {
      await using backend = await open('many/p', ceph().keys, options);
      await backend.create();
      const saves = Array.from({ length: 600 }, async (_, index) => {
        const bytes = content(first + index);
        names.push(fileOf(bytes).name);
        await backend.save(fileOf(bytes), [bytes]);
      });
      await Promise.all(saves);
      const listed = (await Array.fromAsync(backend.list(KEY))).map(({ name }) => name);
      expect(listed.sort()).toEqual(names.sort());
    }
  });

  describe('the permissions that the manual asks for', () => {
    const [forAll = '', forBackups = ''] = [...MANUAL.matchAll(/^```json\n(.*?)^```/gms)].map(([, text]) => text);

    /** Gives a new user what `policy` says about the folder `folder` in the bucket `uid`. */
    async function grant(uid: string, policy: string): Promise<Keys> {
      await using mine = await open(`${uid}/folder`, ceph().keys);
      await initRepository({ backend: mine, password: PASSWORD, kdf: CHEAP });
      const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = ceph().keys;
      const client = new S3Client({
        endpoint: `http://127.0.0.1:${ceph().port}`,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: { accessKeyId, secretAccessKey },
      });
      const principal = `"Principal": { "AWS": "arn:aws:iam:::user/${uid}" },`;
      const text = policy.replaceAll('"Action"', `${principal} "Action"`).replaceAll(':::bucket', `:::${uid}`);
      const keys = await ceph().user(uid);
      await client.send(new PutBucketPolicyCommand({ Bucket: uid, Policy: text }));
      client.destroy();
      return keys;
    }

    async function backUp(backend: Backend): Promise<string> {
      await using repository = await openRepository({ backend, password: PASSWORD, workers: 0 });
      await using _ = await repository.lock();
      return (await backup(repository, { source: objects([{ path: 'a', content: 'b' }]) })).snapshotId ?? '';
    }

    it('are enough', async () => {
      const keys = await grant('all', forAll);
      await using backend = await open('all/folder', keys);
      await backend.create();
      const snapshot = await backUp(backend);
      await backend.remove({ type: 'snapshot', name: snapshot });
      await expect(backend.stat({ type: 'snapshot', name: snapshot })).rejects.toMatchObject({ code: 'not-found' });
      await using outside = await open('all/elsewhere', keys);
      await expect(outside.save({ type: 'config', name: '' }, [content(8)])).rejects.toMatchObject({ code: 'denied' });
    });

    it('are enough to back up and not enough to remove backups', async () => {
      await using backend = await open('backups/folder', await grant('backups', forBackups));
      const snapshot = await backUp(backend);
      expect(await Array.fromAsync(backend.list('lock'))).toEqual([]);
      await expect(backend.remove({ type: 'snapshot', name: snapshot })).rejects.toMatchObject({ code: 'denied' });
    });
  });

  it('goes on after the server was started again', async () => {
    await using backend = await open('again', ceph().keys);
    await backend.create();
    const bytes = content(6);
    await backend.save(fileOf(bytes), [bytes]);
    await ceph().restart();
    await expect(backend.load(fileOf(bytes)).catch(() => backend.load(fileOf(bytes)))).resolves.toHaveLength(64);
  });

  it('speaks TLS to whom it trusts', async () => {
    const location = `s3:https://localhost:${ceph().tlsPort}/safe`;
    const env = { ...ceph().keys };
    await using stranger = await openBackend(location, { env });
    await expect(stranger.create()).rejects.toMatchObject({ code: 'untrusted' });
    await using backend = await openBackend(location, { env, http: { caCertificates: [ceph().caCertificate] } });
    await backend.create();
    const bytes = content(7);
    await backend.save(fileOf(bytes), [bytes]);
    expect(await backend.stat(fileOf(bytes))).toEqual({ size: 64 });
  });
});
