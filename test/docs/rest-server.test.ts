import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { makeTempDir } from '../support/temp-dir.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const page = readFileSync(new URL('../../docs/rest-server.md', import.meta.url), 'utf8');

it('the example of docs/rest-server.md runs, and is short', () => {
  const [, example = ''] = /^```js\n([^]*?)^```$/m.exec(page) ?? [];
  expect(example.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(15);
  using folder = makeTempDir();
  const code = example.replace('/tmp/restic-engine-server-example', join(folder.path, 'repository'));
  const args = ['--conditions=@restic-engine/source', '--input-type=module', '--eval', code];
  // From a folder whose packages have the server: that of the tests.
  expect(execFileSync(process.execPath, args, { cwd: here, encoding: 'utf8' })).toMatch(/^[0-9a-f]{64}\n$/);
});
