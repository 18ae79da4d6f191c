import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openBackend } from '../src/index.ts';

describe('openBackend', () => {
  it.each([
    ['/srv/repo', '/srv/repo'],
    ['local:/srv/repo', '/srv/repo'],
    ['local:with:colon', resolve('with:colon')],
    ['repo', resolve('repo')],
    ['./s3:folder', resolve('./s3:folder')],
    ['../x', resolve('../x')],
    ['/a:b', '/a:b'],
    ['local', resolve('local')],
  ])('takes %s for a folder', async (location, path) => {
    expect((await openBackend(location)).location).toBe(path);
  });

  it.each(['s3:host/bucket', 'rest:https://me:hunter2@host/', 'sftp:me@host:/srv', 'unknown:hunter2', ':x'])(
    'has no backend for %s and repeats no secret',
    async (location) => {
      const error = await openBackend(location).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: 'EngineError', code: 'unsupported' });
      expect(JSON.stringify(error)).not.toContain('hunter2');
    },
  );

  it.each(['', 'local:'])('refuses the empty location %j', async (location) => {
    await expect(openBackend(location)).rejects.toMatchObject({ code: 'bad-request' });
  });
});
