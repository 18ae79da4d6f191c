import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { makeTempDir } from '../support/temp-dir.ts';

const MODULES = join(import.meta.dirname, 'print-modules.mjs');
const PROGRAM = join(import.meta.dirname, 'startup-program.mjs');
const MAIN = join(import.meta.dirname, '../../packages/cli/src/main.ts');
const CHE_MAIN = join(import.meta.dirname, '../../packages/cli/src/che/main.ts');

/**
 * Clients of servers, readers of profiles, and calls into the system that Node lacks: each takes longer to load than the
 * engine itself.
 */
const HEAVY =
  /\/node_modules\/(?:undici|@aws-sdk|@smithy|ssh2|ssh-config|koffi|@koromix|@kubernetes|hono|@hono|yaml|toml-eslint-parser)\b/;

/** The URLs of all modules that a run of `file` loads; Node's own begin with `node:`. */
async function modulesOf(file: string, ...args: string[]): Promise<string[]> {
  const options = [...process.execArgv, '--import', MODULES];
  const env = {
    PATH: process.env['PATH'],
    RESTIC_PASSWORD: 'start',
    AWS_ACCESS_KEY_ID: 'k',
    AWS_SECRET_ACCESS_KEY: 's',
  };
  const { stderr } = await promisify(execFile)(process.execPath, [...options, file, ...args], { env });
  return stderr.split('\n');
}

describe('what a start loads', () => {
  it('is no client of any server when a local repository is made, opened and listed', async () => {
    using folder = makeTempDir();
    const modules = await modulesOf(PROGRAM, join(folder.path, 'repository'));
    expect(modules).toEqual(expect.arrayContaining([expect.stringContaining('packages/repository/src/open.ts')]));
    expect(modules.filter((url) => HEAVY.test(url))).toEqual([]);
  });

  it.for([
    ['rest:http://127.0.0.1:1/', 'undici'],
    ['s3:http://127.0.0.1:1/bucket', '@aws-sdk/client-s3'],
    ['sftp://127.0.0.1:1/repository', 'ssh2'],
  ] as const)('is the client of a server when it is %s', async ([location, client]) => {
    const modules = await modulesOf(PROGRAM, location);
    const found = modules.filter((url) => url.includes(`/node_modules/${client}/`));
    expect(found).not.toEqual([]);
    // What is looked for above is recognized.
    expect(found.filter((url) => !HEAVY.test(url))).toEqual([]);
  });

  it('is no client of any server when a command lists a local repository', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repository');
    await modulesOf(PROGRAM, repo);
    const modules = await modulesOf(MAIN, '--repo', repo, 'snapshots');
    expect(modules).toEqual(expect.arrayContaining([expect.stringContaining('packages/repository/src/open.ts')]));
    expect(modules.filter((url) => HEAVY.test(url))).toEqual([]);
    expect(modules.filter((url) => /cli\/src\/(?:profile|hooks)\//.test(url))).toEqual([]);
  });

  it.for([
    ['p.toml', 'toml-eslint-parser', 'yaml'],
    ['p.yaml', 'yaml', 'toml-eslint-parser'],
  ] as const)('is one reader for the profile %s', async ([name, reader, other]) => {
    using folder = makeTempDir();
    const profile = join(folder.path, name);
    writeFileSync(profile, '');
    const modules = await modulesOf(MAIN, '-P', profile, 'cache', '--cache-dir', folder.path);
    const found = modules.filter((url) => HEAVY.test(url));
    expect(found.some((url) => url.includes(`/node_modules/${reader}/`))).toBe(true);
    expect(found.filter((url) => url.includes(`/node_modules/${other}/`))).toEqual([]);
  });

  it.for([['--help'], ['server:backup', '--help'], ['server:restore', '--help']])(
    'is neither the engine nor a client of clusters for che-backup %j',
    async (words) => {
      const modules = await modulesOf(CHE_MAIN, ...words);
      expect(modules).toEqual(expect.arrayContaining([expect.stringContaining('cli/src/che/program.ts')]));
      expect(modules.filter((url) => HEAVY.test(url) || /packages\/(?:engine|che-state)\//.test(url))).toEqual([]);
    },
  );

  it('is a client of clusters when che-backup asks one', async () => {
    using folder = makeTempDir();
    const kubeconfig = join(folder.path, 'config');
    writeFileSync(
      kubeconfig,
      JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters: [], contexts: [], users: [] }),
    );
    const asking = modulesOf(CHE_MAIN, 'list', '--kubeconfig', kubeconfig);
    const said = await asking.then(String, ({ stderr }: { readonly stderr: string }) => stderr);
    expect(said).toContain('/node_modules/@kubernetes/');
  });

  it('is one file for the version', async () => {
    const modules = await modulesOf(MAIN, 'version');
    expect(modules.filter((url) => !url.startsWith('node:')).map((url) => url.replace(/.*\//, ''))).toEqual([
      'main.ts',
      'version.ts',
    ]);
  });
});
