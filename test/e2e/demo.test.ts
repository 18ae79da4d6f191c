import { spawn } from 'node:child_process';
import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareTrees, copyTree } from '../../demo/tree.ts';

const demoScript = join(import.meta.dirname, '../../demo/demo.ts');

async function withFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeTree(folder: string): void {
  mkdirSync(join(folder, 'deep', 'er'), { recursive: true });
  writeFileSync(join(folder, 'large.txt'), 'All work and no play. '.repeat(100_000));
  writeFileSync(join(folder, 'deep', 'middle.txt'), 'x'.repeat(30_000));
  writeFileSync(join(folder, 'deep', 'er', 'small.txt'), 'y'.repeat(20_000));
  writeFileSync(join(folder, 'deep', 'er', 'plain.txt'), 'z');
  symlinkSync('../large.txt', join(folder, 'deep', 'link'));
  chmodSync(join(folder, 'deep', 'er', 'plain.txt'), 0o640);
  // Times that a number holds exactly; what is in a folder comes before the folder.
  for (const path of [
    'deep/er/small.txt',
    'deep/er/plain.txt',
    'deep/er',
    'deep/middle.txt',
    'deep/link',
    'deep',
    'large.txt',
  ]) {
    lutimesSync(join(folder, path), 1_600_000_000.125, 1_600_000_000.125);
  }
}

function runDemo(
  source: string,
  temporary: string,
  stopAfter?: RegExp,
): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=@restic-engine/source', demoScript, source], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let stopped = false;
    const onData = (chunk: Buffer): void => {
      output += chunk.toString();
      if (stopped || stopAfter?.test(output) !== true) return;
      stopped = child.kill('SIGINT');
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
  });
}

describe('the demo', () => {
  it('backs up, restores, finds everything equal and leaves nothing behind', async () => {
    await withFolder(async (folder) => {
      const [source, temporary] = [join(folder, 'source'), join(folder, 'temporary')];
      mkdirSync(temporary);
      makeTree(source);
      const { status, output } = await runDemo(source, temporary);
      expect(output).toMatch(/^first backup +snapshot [0-9a-f]{8}, 4 files with 2\.1 MiB/m);
      expect(output).toContain('files: 2 new, 2 changed, 0 unchanged');
      expect(output).toMatch(/M large\.txt {2}\(some bytes/);
      expect(output).toMatch(/- deep\/middle\.txt {2}\(moved\)/);
      expect(output).toMatch(/\+ deep\/middle\.txt\.moved/);
      expect(output).toMatch(/- deep\/er\/small\.txt {2}\(removed\)/);
      expect(output).toMatch(/M deep\/er\/plain\.txt {2}\(mode changed\)/);
      expect(output).toMatch(/^restore +2\.1 MiB.*0 errors$/m);
      expect(output).toMatch(/^compare +7 entries/m);
      expect(output).toMatch(/0 new blobs of data/);
      expect(output).not.toMatch(/DIFFERENT|NOT EXPECTED|NOT FOUND|error:/);
      expect(output).toContain('Everything is as it was.');
      expect(status).toBe(0);
      expect(readdirSync(temporary)).toEqual([]);
    });
  });

  it('cleans up when it is interrupted', async () => {
    await withFolder(async (folder) => {
      const [source, temporary] = [join(folder, 'source'), join(folder, 'temporary')];
      mkdirSync(temporary);
      makeTree(source);
      const { status, output } = await runDemo(source, temporary, /^repository/m);
      expect(output).toContain('interrupted');
      expect(status).toBe(130);
      expect(readdirSync(temporary)).toEqual([]);
    });
  });
});

describe('the comparison of the demo', () => {
  const signal = new AbortController().signal;

  async function differencesAfter(change: (copy: string) => void): Promise<readonly string[]> {
    return withFolder(async (folder) => {
      const [source, copy] = [join(folder, 'source'), join(folder, 'copy')];
      makeTree(source);
      await copyTree(source, copy, signal, () => undefined);
      change(copy);
      return (await compareTrees(source, copy, signal)).differences;
    });
  }

  it('finds nothing in a faithful copy', async () => {
    expect(await differencesAfter(() => undefined)).toEqual([]);
  });

  it('sees a byte, a mode, a time, a link target, what is missing and what is too much', async () => {
    const found = await differencesAfter((copy) => {
      const plain = join(copy, 'deep', 'er', 'plain.txt');
      writeFileSync(plain, 'Z');
      utimesSync(join(copy, 'large.txt'), 5, 5.000001);
      chmodSync(join(copy, 'deep', 'middle.txt'), 0o600);
      rmSync(join(copy, 'deep', 'link'));
      symlinkSync('elsewhere', join(copy, 'deep', 'link'));
      rmSync(join(copy, 'deep', 'er', 'small.txt'));
      writeFileSync(join(copy, 'more'), '');
    });
    const text = found.join('\n');
    expect(text).toMatch(/plain\.txt: .*content/);
    expect(text).toMatch(/large\.txt: mtimeNs/);
    expect(text).toMatch(/middle\.txt: mode/);
    expect(text).toMatch(/link: .*link target/);
    expect(text).toMatch(/small\.txt: missing/);
    expect(text).toMatch(/more: should not be there/);
  });
});
