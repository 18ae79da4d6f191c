import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');

function block(language: string, containing: string): string {
  const blocks = [...readme.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))].map(
    ([, code = '']) => code,
  );
  const found = blocks.find((code) => code.includes(containing));
  if (found === undefined) throw new Error(`README.md has no ${language} block with ${containing}`);
  return found;
}

function inTempDir<T>(run: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), 'readme-'));
  try {
    return run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it('the embedding example runs, and is short', () => {
  const example = block('js', 'initRepository');
  expect(example.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(15);
  const output = inTempDir((folder) => {
    const code = example.replace('/tmp/restic-engine-example', path.join(folder, 'repository'));
    return execFileSync(process.execPath, ['--input-type=module', '--eval', code], { cwd: root, encoding: 'utf8' });
  });
  expect(output).toMatch(/^[0-9a-f]{64} \d+ bytes added\n\{"users":3\}\n$/);
});

it('the commands work as written', () => {
  const commands = block('sh', 'restic-engine init');
  const output = inTempDir((folder) => {
    const script = commands.replaceAll('/tmp/', `${folder}/`);
    const restored = `${folder}/restic-engine-restored/docs`;
    return execFileSync('sh', ['-euc', `${script}\ndiff -r docs ${restored} && echo restored`], {
      cwd: root,
      encoding: 'utf8',
    });
  });
  expect(output).toMatch(/snapshot [0-9a-f]{8} saved/);
  expect(output).toMatch(/restored\n$/);
});

it('the commands for servers work as written', async () => {
  const commands = block('sh', 'check-backend').replaceAll('8123', String(await freePort()));
  const output = inTempDir((folder) =>
    execFileSync('sh', ['-euc', commands.replaceAll('/tmp/', `${folder}/`)], { cwd: root, encoding: 'utf8' }),
  );
  expect(output).toMatch(/start server on 127\.0\.0\.1:\d+/);
  expect(output).toMatch(/snapshot [0-9a-f]{8} saved/);
});
