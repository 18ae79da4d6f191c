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

/** What users depend on themselves. */
const INSTALLED = ['restic-engine', '@restic-engine/che-state', '@restic-engine/cli'] as const;

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
    dependencies: Object.fromEntries(INSTALLED.map((name) => [name, specs[name]])),
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

  it('runs the embedding program: 1,000 objects, one changed, one read back', async ({ app }) => {
    const program = await readFile(join(root, 'test', 'e2e', 'embed-program.mjs'), 'utf8');
    await writeFile(join(app, 'embed.mjs'), program);
    const { ok, output } = await run(process.execPath, ['embed.mjs', join(app, 'embedded-repository')], app);
    expect(ok, output).toBe(true);
    const seen = JSON.parse(output) as { inMemory: object; onDisk: object };
    expect(seen.inMemory).toMatchObject({ first: 1000, second: 1, unmodified: 999, content: '{"i":"changed"}' });
    expect(seen.onDisk).toEqual(seen.inMemory);
  });

  it.for([
    ['import', 'files.mjs', "import * as engine from 'restic-engine'; main();"],
    ['require', 'files.cjs', "const engine = require('restic-engine'); main();"],
  ] as const)('backs up and restores files in worker threads, by %s', async ([way, file, start], { app }) => {
    const code = `
      ${start}
      async function main() {
        const { randomBytes } = await import('node:crypto');
        const { mkdirSync, readFileSync, writeFileSync } = await import('node:fs');
        const folder = ${JSON.stringify(join(app, `files-${way}`))};
        mkdirSync(folder + '/data/sub', { recursive: true });
        const content = randomBytes(20_000_000);
        writeFileSync(folder + '/data/large', content);
        writeFileSync(folder + '/data/sub/small', 'small');
        const backend = engine.localBackend(folder + '/repository');
        await engine.initRepository({ backend, password: 'packed', kdf: { N: 1024, r: 8, p: 1 } });
        const repository = await engine.openRepository({ backend, password: 'packed', workers: 2 });
        const source = engine.files({ targets: ['data'], cwd: folder });
        const { errors, problems } = await engine.backup(repository, { source });
        const restored = await engine.restore(repository, { snapshot: 'latest', target: folder + '/restored' });
        await repository[Symbol.asyncDispose]();
        const same = readFileSync(folder + '/restored/data/large').equals(content);
        const small = readFileSync(folder + '/restored/data/sub/small', 'utf8');
        console.log(JSON.stringify({ errors, problems, failed: restored.errors, same, small }));
      }`;
    const seen: unknown = JSON.parse(await runInApp(app, file, code));
    expect(seen).toEqual({ errors: [], problems: [], failed: [], same: true, small: 'small' });
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

  it('brings the programs and the license', async ({ app }) => {
    const { ok, output } = await run(join(app, 'node_modules', '.bin', 'restic-engine'), ['version'], app);
    expect(ok, output).toBe(true);
    expect(output).toMatch(/^restic-engine \d+\.\d+\.\d+ with node/);
    const che = await run(join(app, 'node_modules', '.bin', 'che-backup'), ['server:backup', '--help'], app);
    expect(che.ok, che.output).toBe(true);
    expect(che.output).toContain('Usage: che-backup server:backup');
    expect(await readFile(join(app, 'node_modules/restic-engine/LICENSE'), 'utf8')).toContain('Apache License');
  });
});

describe('@restic-engine/che-state as installed from its tarball', { timeout: 120_000 }, () => {
  it('is what its sources are, and has a client for clusters', async ({ app }) => {
    const code = `
      import * as che from '@restic-engine/che-state';
      const refused = await che.connectCluster({ kubeconfig: 'nowhere' }).catch(({ code }) => code);
      const yaml = await che.toYaml({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } });
      console.log(JSON.stringify({ names: Object.keys(che).sort(), refused, yaml }));`;
    const seen: unknown = JSON.parse(await runInApp(app, 'che.mjs', code));
    const names = Object.keys(await import('@restic-engine/che-state')).sort();
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n';
    expect(seen).toEqual({ names, refused: 'not-found', yaml });
  });

  it('has types', async ({ app }) => {
    const code = "import { collect, type Cluster, type RestorePlan } from '@restic-engine/che-state';\n";
    await writeFile(
      join(app, 'che.mts'),
      `${code}export const all: unknown[] = [collect, {} as Cluster, {} as RestorePlan];\n`,
    );
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
    const { ok, output } = await run(tool('tsc'), [...options, 'che.mts'], app);
    expect(ok, output).toBe(true);
  });
});
