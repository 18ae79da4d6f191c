import { describeBackend } from '@restic-engine/backends/conformance';
import { backup, initRepository, objects, openRepository, prune, withRetry, wrap } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { fastTime } from '../support/fast-time.ts';
import { randomFrom } from '../support/random.ts';
import { CHEAP } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { openPlace } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';
import { startRestServer } from './rest-server.ts';
import { dataFile, holds } from './stored.ts';

// The ways restic's REST server can be run, and what its refusals are called.

showLogsOfFailures();

const CONTENT = randomFrom(3).bytes(1000);

await describeWithPeer('rest-server', 'rest-server', (peer) => {
  it('--append-only: backups go on, nothing can be removed, and nobody tries twice', async () => {
    await using server = await startRestServer(peer, { flags: ['--append-only'] });
    const time = fastTime();
    await using place = await openPlace(await server.place('x'));
    const backend = wrap(place, withRetry({ time }));
    await initRepository({ backend, password: PASSWORD, kdf: CHEAP });
    await using repository = await openRepository({ backend, password: PASSWORD, workers: 0 });
    const { snapshotId } = await backup(repository, { source: objects([{ path: 'a', content: CONTENT }]) });
    expect(await Array.fromAsync(backend.list('lock'))).toEqual([]);
    for (const type of ['key', 'index', 'data', 'snapshot'] as const) {
      for (const { name } of await Array.fromAsync(backend.list(type))) {
        await expect(backend.remove({ type, name })).rejects.toMatchObject({ code: 'denied' });
        expect((await backend.stat({ type, name })).size).toBeGreaterThan(0);
      }
    }
    expect((await Array.fromAsync(backend.list('snapshot'))).map(({ name }) => name)).toEqual([snapshotId]);
    const before = await Array.fromAsync(backend.list('index'));
    await expect(prune(repository, { lockFree: true })).rejects.toMatchObject({ code: 'denied' });
    expect(await Array.fromAsync(backend.list('index'))).toEqual(before);
    expect(await Array.fromAsync(backend.list('lock'))).toEqual([]);
    expect(time.sleeps).toEqual([]);
  });

  it('--private-repos: a place of its own is for each user', async () => {
    await using server = await startRestServer(peer, { flags: ['--private-repos'] });
    await using own = await openPlace(await server.place('tester/x'));
    await own.create();
    await own.save(dataFile(CONTENT), [CONTENT]);
    expect(await holds(own, CONTENT)).toBe(true);
    await using other = await openPlace(await server.place('somebody/x'));
    await expect(other.create()).rejects.toMatchObject({ code: 'unauthorized' });
    await expect(other.load(dataFile(CONTENT))).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('--max-size: no more space', async () => {
    await using server = await startRestServer(peer, { flags: ['--max-size', '300000'] });
    await using backend = await openPlace(await server.place('x'));
    await backend.create();
    await backend.save(dataFile(CONTENT), [CONTENT]);
    const more = randomFrom(4).bytes(300_000);
    await expect(backend.save(dataFile(more), [more])).rejects.toMatchObject({ code: 'no-space' });
    expect(await Array.fromAsync(backend.list('data'))).toHaveLength(1);
  });

  it('refuses a wrong password, which no message repeats', async () => {
    await using server = await startRestServer(peer);
    const place = await server.place('x');
    await using backend = await openPlace({
      ...place,
      location: place.location.replace(place.secrets[1]!, 'wrong-secret'),
    });
    const error: unknown = await backend.create().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'unauthorized' });
    expect(JSON.stringify([backend.location, String(error), error])).not.toContain('wrong-secret');
  });

  it('notices content that does not match its name', async () => {
    await using server = await startRestServer(peer);
    await using backend = await openPlace(await server.place('x'));
    await backend.create();
    const name = '0'.repeat(64);
    await expect(backend.save({ type: 'data', name }, [CONTENT])).rejects.toThrow(/400/);
    await expect(backend.stat({ type: 'data', name })).rejects.toMatchObject({ code: 'not-found' });
  });

  describe('on a Unix socket', () => {
    let places = 0;
    const make = async () => {
      const server = await startRestServer(peer, { socket: true });
      places += 1;
      const backend = await openPlace(await server.place(`place-${places}`));
      const close = backend[Symbol.asyncDispose].bind(backend);
      backend[Symbol.asyncDispose] = async () => {
        await close();
        await server[Symbol.asyncDispose]();
      };
      return backend;
    };
    describeBackend({ describe, it }, 'rest-server', make);
  });
});
