import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const PROGRAM = join(import.meta.dirname, 'embed-program.mjs');

interface Seen {
  readonly [place: string]: Record<string, unknown>;
}

/** Runs the program in an empty folder with an empty home and an empty folder for temporary files. */
async function runProgram(folder: string): Promise<Seen> {
  for (const name of ['cwd', 'tmp', 'home']) mkdirSync(join(folder, name));
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [...process.execArgv, PROGRAM, join(folder, 'repository')],
    {
      cwd: join(folder, 'cwd'),
      env: { TMPDIR: join(folder, 'tmp'), HOME: join(folder, 'home') },
    },
  );
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Seen;
}

describe('a program that embeds the engine', () => {
  it('makes snapshots of objects in memory, each object stored once, and reads one back', async () => {
    using folder = makeTempDir();
    const { inMemory, onDisk } = await runProgram(folder.path);
    expect(inMemory).toEqual({
      first: 1000,
      second: 1,
      // The folder of the object and the one above it.
      trees: 2,
      unmodified: 999,
      parent: true,
      content: '{"i":"changed"}',
      old: '{"i":777}',
    });
    expect(onDisk).toEqual(inMemory);
    // A library leaves nothing anywhere but in the repository.
    for (const name of ['cwd', 'tmp', 'home'])
      expect(readdirSync(join(folder.path, name), { recursive: true })).toEqual([]);
    expect(readdirSync(join(folder.path, 'repository')).toSorted()).toEqual(
      ['config', 'data', 'index', 'keys', 'locks', 'snapshots'].toSorted(),
    );
    expect(readdirSync(join(folder.path, 'repository', 'locks'))).toEqual([]);
  });
});

await describeWithPeer('restic', 'what it stored', (peer) => {
  it('is a repository of restic', async () => {
    using folder = makeTempDir();
    await runProgram(folder.path);
    const restic = resticAt(peer, { repo: join(folder.path, 'repository'), password: 'embedded' });
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    expect(await restic.ok(['dump', 'latest', '/group-7/object-777.json'])).toBe('{"i":"changed"}');
  });
});
