import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it as base, describe, expect } from 'vitest';
import { packAll, tool } from '../../scripts/pack.ts';
import { run } from '../../scripts/run.ts';

// What a user gets: every package packed as for npm and installed into an empty project, with no workspace around it.

const root: string = join(import.meta.dirname, '..', '..');

interface Manifest {
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** `@restic-engine/chunker` for `…/restic-engine-chunker-0.1.0.tgz`, `restic-engine` for `…/restic-engine-0.1.0.tgz`. */
function packageOf(tarball: string): string {
  const room = /restic-engine-([a-z-]+)-\d[^/]*\.tgz$/.exec(tarball)?.[1];
  return room === undefined ? 'restic-engine' : `@restic-engine/${room}`;
}

async function installInto(folder: string): Promise<string> {
  const tarballs = join(folder, 'tarballs');
  const app = join(folder, 'app');
  await mkdir(tarballs);
  await mkdir(app);
  const specs = Object.fromEntries((await packAll(tarballs)).map((path) => [packageOf(path), `file:${path}`]));
  const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest;
  const manifest = {
    name: 'app',
    private: true,
    dependencies: { 'restic-engine': specs['restic-engine'], '@restic-engine/cli': specs['@restic-engine/cli'] },
    devDependencies: { '@types/node': devDependencies['@types/node'] },
    // The versions of this very build are on no registry.
    pnpm: { overrides: specs },
  };
  await writeFile(join(app, 'package.json'), JSON.stringify(manifest));
  const { ok, output } = await run(tool('pnpm'), ['install', '--prefer-offline', '--ignore-workspace'], app);
  if (!ok) throw new Error(`pnpm install failed:\n${output}`);
  return app;
}

// oxlint-disable-next-line no-empty-pattern -- vitest reads a fixture's needs from its first parameter; there are none
const it = base.extend('app', { scope: 'file' }, async ({}, { onCleanup }) => {
  const folder = await mkdtemp(join(tmpdir(), 'restic-engine-packed-'));
  onCleanup(() => rm(folder, { recursive: true, force: true }));
  return installInto(folder);
});

/** Runs `code` as a file of the app, without the conditions and loaders of the test runner, and returns its output. */
async function runInApp(app: string, file: string, code: string): Promise<string> {
  await writeFile(join(app, file), code);
  const { ok, output } = await run(process.execPath, [file], app);
  expect(ok, output).toBe(true);
  return output;
}

const exported = Object.keys(await import('restic-engine')).sort();

describe('restic-engine as installed from its tarball', { timeout: 120_000 }, () => {
  it('can be imported', async ({ app }) => {
    const code = "import * as engine from 'restic-engine'; console.log(JSON.stringify(Object.keys(engine).sort()));";
    expect(JSON.parse(await runInApp(app, 'use.mjs', code))).toEqual(exported);
  });

  it('can be required', async ({ app }) => {
    const code = "console.log(JSON.stringify(Object.keys(require('restic-engine')).sort()));";
    const names = JSON.parse(await runInApp(app, 'use.cjs', code)) as string[];
    expect(names.filter((name) => name !== '__esModule')).toEqual(exported);
  });

  it('has types', async ({ app }) => {
    await writeFile(
      join(app, 'use.mts'),
      `import { ${exported.join(', ')} } from 'restic-engine';\nexport const all: unknown[] = [${exported.join(', ')}];\n`,
    );
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
    const { ok, output } = await run(tool('tsc'), [...options, 'use.mts'], app);
    expect(ok, output).toBe(true);
  });

  it('brings the program and the license', async ({ app }) => {
    const { ok, output } = await run(join(app, 'node_modules', '.bin', 'restic-engine'), ['--version'], app);
    expect(ok, output).toBe(true);
    expect(await readFile(join(app, 'node_modules/restic-engine/LICENSE'), 'utf8')).toContain('Apache License');
  });
});
