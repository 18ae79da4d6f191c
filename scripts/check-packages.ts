// What a user would get from npm: publint and "are the types wrong" on every packed tarball, sherif on the manifests.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { packAll, tool } from './pack.ts';
import { run } from './run.ts';

async function check(title: string, command: string, args: readonly string[]): Promise<boolean> {
  const { ok, output } = await run(tool(command), args);
  if (!ok) console.log(`${command}: ${title}\n${output}`);
  return ok;
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'restic-engine-pack-'));
  try {
    const results = [await check('manifests', 'sherif', ['--fail-on-warnings'])];
    for (const tarball of await packAll(folder)) {
      const title = basename(tarball);
      results.push(await check(title, 'publint', ['run', '--strict', tarball]));
      results.push(await check(title, 'attw', ['--profile', 'esm-only', '--format', 'ascii', tarball]));
    }
    if (results.includes(false)) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
