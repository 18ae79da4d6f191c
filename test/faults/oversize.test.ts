import { spawn } from 'node:child_process';
import { chmodSync, cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { backup, objects } from 'restic-engine';
import type { FileType } from 'restic-engine';
import { it as base, describe, expect } from 'vitest';
import { CHEAPEST } from '../support/damage.ts';
import { all, initAt, openAt } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// Files of a terabyte, which cost nothing to make where there are holes: whoever reads them whole runs out of memory.

const PROGRAM = join(import.meta.dirname, 'oversize-program.mjs');
const FOLDERS = { key: 'keys', lock: 'locks', snapshot: 'snapshots', index: 'index', data: 'data' } as const;
/** Node itself needs about 80 MiB. */
const MEMORY_MIB = 400;
const TEBIBYTE = 2 ** 40;

interface Outcome {
  readonly code: string;
  readonly message: string;
  readonly ms: number;
  readonly mebibytes: number;
}

function read(repo: string, what: string): Promise<Outcome> {
  const words = [...process.execArgv, '--max-old-space-size=128', PROGRAM, repo, PASSWORD, what];
  const child = spawn(process.execPath, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      if (status === 0) resolve(JSON.parse(output) as Outcome);
      else reject(new Error(`ended with ${status ?? signal}`));
    });
  });
}

// oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its first parameter; there are none
const it = base.extend('sound', { scope: 'file' }, async ({}, { onCleanup }) => {
  const folder = makeTempDir();
  onCleanup(() => folder[Symbol.dispose]());
  const path = join(folder.path, 'sound');
  await initAt(path, { kdf: CHEAPEST });
  const repository = await openAt(path, { workers: 0 });
  await backup(repository, { source: objects([{ path: 'file', content: 'content' }]) });
  await repository.lock();
  await repository[Symbol.asyncDispose]();
  return path;
});

function enlarge(repo: string, type: FileType, size: number): void {
  const folder = type === 'config' ? repo : join(repo, FOLDERS[type]);
  const entries = readdirSync(folder, { recursive: type !== 'config', withFileTypes: true });
  const found = entries.filter((entry) => entry.isFile());
  expect(found.length).toBeGreaterThan(0);
  for (const { name, parentPath } of found) {
    // Files of a repository are read-only.
    chmodSync(join(parentPath, name), 0o600);
    truncateSync(join(parentPath, name), size);
  }
}

const REFUSED = ['too-large', 'corrupt'] as const;

const UPKEEP: readonly (readonly [type: FileType, what: string, codes: readonly string[]])[] = [
  ['snapshot', 'prune', REFUSED],
  ['snapshot', 'recover', ['success']],
  ['snapshot', 'repair-snapshots', ['success']],
  ['index', 'check', REFUSED],
  ['index', 'repair-index', ['success']],
  ['data', 'check-data', REFUSED],
  ['data', 'repair-index', ['success']],
  ['data', 'repair-index-all', ['success']],
  ['data', 'repair-packs', REFUSED],
  ['data', 'recover', ['success']],
  ['data', 'copy', ['success']],
];

function removeLocks(repo: string): void {
  for (const name of readdirSync(join(repo, FOLDERS.lock))) rmSync(join(repo, FOLDERS.lock, name));
}

describe('a file of a tebibyte', () => {
  const cases: readonly (readonly [type: FileType, what: string, codes: readonly string[]])[] = [
    ['config', 'open', ['too-large', 'corrupt']],
    ['key', 'open', ['too-large', 'corrupt', 'wrong-password']],
    ['lock', 'locks', ['too-large', 'corrupt']],
    ['snapshot', 'snapshots', ['too-large', 'corrupt']],
    ['index', 'read', ['too-large', 'corrupt']],
    ['index', 'backup', ['too-large', 'corrupt']],
    // Only the parts that the index names are read of a pack, and they are sound.
    ['data', 'read', ['success']],
    ['data', 'find', ['success']],
  ];

  it.for(cases)('as %s is no way to make us run out of memory: %s', async ([type, what, codes], { sound }) => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    cpSync(sound, repo, { recursive: true });
    enlarge(repo, type, TEBIBYTE);
    const { code, message, ms, mebibytes } = await read(repo, what);
    expect(codes, message).toContain(code);
    expect(ms).toBeLessThan(5000);
    expect(mebibytes).toBeLessThan(MEMORY_MIB);
  });

  it.for(UPKEEP)('as %s is no way to make upkeep run out of memory: %s', async ([type, what, codes], { sound }) => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    cpSync(sound, repo, { recursive: true });
    enlarge(repo, type, TEBIBYTE);
    removeLocks(repo);
    const { code, message, ms, mebibytes } = await read(repo, what);
    expect(codes, message).toContain(code);
    expect(ms).toBeLessThan(5000);
    expect(mebibytes).toBeLessThan(MEMORY_MIB);
  });

  it('as a pack with blobs of 4 GiB, says its index', async ({ sound }) => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    cpSync(sound, repo, { recursive: true });
    enlarge(repo, 'data', TEBIBYTE);
    {
      await using repository = await openAt(repo, { workers: 0 });
      for (const { name } of await all(repository.list('index'))) {
        const text = Buffer.from(await repository.loadFile('index', name)).toString();
        await repository.removeFile('index', name);
        const liar = text.replace(/"length":\d+/g, `"length":${2 ** 32 - 1}`);
        await repository.saveFile('index', new TextEncoder().encode(liar));
      }
    }
    removeLocks(repo);
    for (const [what, codes] of [
      ['read', REFUSED],
      ['find', REFUSED],
      ['check-data', REFUSED],
      ['copy', REFUSED],
      ['prune', REFUSED],
      ['rewrite', ['success']],
      ['repair-packs', REFUSED],
      ['repair-snapshots', ['success']],
      ['recover', ['success']],
    ] as const) {
      const { code, message, ms, mebibytes } = await read(repo, what);
      expect(codes, message).toContain(code);
      expect(ms).toBeLessThan(5000);
      expect(mebibytes).toBeLessThan(MEMORY_MIB);
    }
  });

  it('takes no space here, or the tests above are no good idea', ({ sound }) => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    cpSync(sound, repo, { recursive: true });
    enlarge(repo, 'config', TEBIBYTE);
    expect(statSync(join(repo, 'config')).size).toBe(TEBIBYTE);
    expect(statSync(join(repo, 'config')).blocks).toBeLessThan(100);
  });
});
