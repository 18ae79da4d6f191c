import { backup, initRepository, objects, openRepository } from 'restic-engine';
import { beforeAll, describe, expect, it } from 'vitest';
import { startHttpProxy } from '../support/http-proxy.ts';
import { makePrograms } from '../support/programs.ts';
import { randomFrom } from '../support/random.ts';
import { CHEAP } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { describeWithServers, KINDS, openPlace } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';

// Over a distance every request costs a round trip. None of ours needs more of them than restic.

showLogsOfFailures();

const FILES = 5_000;
const COUNTED = KINDS.filter(({ name }) => name === 'rest-server' || name === 'Ceph');

await describeWithServers('requests', COUNTED, ({ kind, server, restic }) => {
  beforeAll(async () => {
    await using backend = await openPlace(await server().place('many'));
    await initRepository({ backend, password: PASSWORD, kdf: CHEAP });
    const random = randomFrom(17);
    // In the order of a tree, as a folder is backed up.
    const entries = Array.from({ length: FILES }, (_, file) => ({
      path: `${1000 + Math.floor(file / 200)}/${100_000 + file}`,
      content: random.bytes(1000 + random.int(2000)),
    }));
    // Small packs, so that there are several.
    await using repository = await openRepository({ backend, password: PASSWORD, packSize: 4 << 20, workers: 0 });
    await backup(repository, { source: objects(entries), tags: ['all'] });
    await backup(repository, { source: objects(entries.slice(0, 100)) });
  });

  const cached = [
    ['snapshots', ['snapshots']],
    ['ls', ['ls', 'latest', '--tag', 'all']],
    [`a restore of ${FILES} files`, ['restore', 'latest', '--tag', 'all', '--target', 'restored']],
  ] as const;
  const others = [
    ['stats', ['stats', '--mode', 'raw-data']],
    ['check', ['check']],
  ] as const;

  const caches = kind.protocol === 'rest' ? (['none', 'empty', 'full'] as const) : (['empty'] as const);
  describe.each(caches)('cache: %s', (cache) => {
    it.each(cache === 'none' ? [...cached, ...others] : cached)('%s', { timeout: 120_000 }, async (_, words) => {
      await using proxy = await startHttpProxy({ target: server().port });
      const place = await server().place('many', { port: proxy.port });
      const count = async (program: 'ours' | 'theirs'): Promise<string[]> => {
        using programs = makePrograms(restic, { places: { ours: place, theirs: place }, caches: cache !== 'none' });
        const run = programs[program];
        if (cache === 'full') expect(await run('ls', 'latest', '--tag', 'all')).toMatchObject({ status: 0 });
        const before = proxy.requests.length;
        expect(await run(...words)).toMatchObject({ status: 0 });
        return proxy.requests.slice(before).map(({ method, path }) => `${method} ${path}`);
      };
      const ours = await count('ours');
      const theirs = await count('theirs');
      expect(ours.length, `${ours.join('\n')}\n\nrestic:\n${theirs.join('\n')}`).toBeLessThanOrEqual(theirs.length);
    });
  });
});
