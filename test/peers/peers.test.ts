import { chmod, mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { debianSource } from './apt.ts';
import { addToCache, cacheFolder, findCached, keep, libraryTriplet } from './cache.ts';
import { buildAlone } from './build.ts';
import { findPeer } from './find.ts';
import { run } from './run.ts';

const DEB822 = `# comment
Types: deb
# http://snapshot.example/
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`;

describe('the Debian source of a machine', () => {
  const expected = {
    uris: 'http://mirror.example/debian',
    signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
  };

  it('is read from deb822 files', () => {
    expect(debianSource(new Map([['debian.sources', DEB822]]), 'bookworm')).toEqual(expected);
  });

  it('is read from one-line files', () => {
    const text = [
      '# deb http://commented.example/debian bookworm main',
      'deb http://mirror.example/debian-security bookworm-security main',
      `deb [arch=amd64 signed-by=${expected.signedBy}] http://mirror.example/debian bookworm main non-free`,
    ].join('\n');
    expect(debianSource(new Map([['sources.list', text]]), 'bookworm')).toEqual(expected);
  });

  it('is not a third party that uses the same suite', () => {
    const lists = new Map([
      ['docker.list', 'deb https://docker.example/linux/debian bookworm stable'],
      ['tool.list', 'deb https://tool.example/apt bookworm main'],
      ['debian.sources', DEB822],
    ]);
    expect(debianSource(lists, 'bookworm')).toEqual(expected);
  });

  it('is missing where only other suites are', () => {
    expect(debianSource(new Map([['debian.sources', DEB822]]), 'trixie')).toBeUndefined();
  });
});

/** A folder with an empty cache in it. */
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'peers-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
  onTestFinished(() => void vi.unstubAllEnvs());
  return folder;
}

/** Builds a package with one executable file. */
async function build(folder: string, name: string, version: string, path: string, text: string): Promise<string> {
  const root = join(folder, `root-${name}`);
  await mkdir(join(root, 'DEBIAN'), { recursive: true });
  await mkdir(join(root, dirname(path)), { recursive: true });
  const control = `Package: ${name}\nVersion: ${version}-1\nArchitecture: all\nMaintainer: none\nDescription: none\n`;
  await writeFile(join(root, 'DEBIAN/control'), control);
  await writeFile(join(root, path), text);
  await chmod(join(root, path), 0o755);
  const deb = join(folder, `${name}_${version}-1_all.deb`);
  await run('dpkg-deb', ['--build', root, deb], 30);
  return deb;
}

/** An empty cache, and a package that holds a "restic" of the given version. */
async function makePackage(version: string): Promise<{ folder: string; deb: string }> {
  const folder = await makeFolder();
  const text = `#!/bin/sh\necho restic ${version} compiled with go\n`;
  return { folder, deb: await build(folder, 'restic', version, 'usr/bin/restic', text) };
}

const canBuild = await run('dpkg-deb', ['--version'], 10).then(
  () => true,
  () => false,
);

describe.skipIf(!canBuild)('the cache of peers (needs dpkg-deb)', () => {
  it('unpacks a package once, also when several processes ask at the same time', async () => {
    const { deb } = await makePackage('0.19.9');
    const peers = await Promise.all([1, 2, 3].map(() => addToCache('restic', deb)));
    expect(new Set(peers.map(({ path }) => path)).size).toBe(1);
    expect(await findCached('restic')).toEqual(peers[0]);
    expect(await run(peers[0]?.path ?? '', ['version'], 10)).toContain('0.19.9');
  });

  it('takes packages from the folder it is told', async () => {
    const { folder } = await makePackage('0.19.8');
    vi.stubEnv('RESTIC_ENGINE_PEERS_DEBS', folder);
    expect(await findPeer('restic', { patient: false })).toMatchObject({
      from: 'packages folder',
      peer: { version: '0.19.8' },
    });
  });

  it('unpacks packages that belong together, and lets the program find its libraries', async () => {
    const folder = await makeFolder();
    const packages = join(folder, 'ceph');
    await mkdir(packages);
    const library = `usr/lib/${libraryTriplet()}/version`;
    await build(packages, 'libversion', '1', library, 'ceph version 16.2.99 (test)\n');
    const program =
      '#!/bin/sh\nIFS=:\nfor folder in $LD_LIBRARY_PATH; do cat "$folder/version" 2>/dev/null; done; true\n';
    await build(packages, 'radosgw', '16.2.99', 'usr/bin/radosgw', program);
    vi.stubEnv('RESTIC_ENGINE_PEERS_DEBS', folder);
    const found = await findPeer('ceph', { patient: false });
    expect(found).toMatchObject({ from: 'packages folder', peer: { version: '16.2.99' } });
    expect(await findCached('ceph')).toEqual(found.peer);
  });

  it('refuses a version the tests do not know', async () => {
    const { deb } = await makePackage('0.12.0');
    await expect(addToCache('restic', deb)).rejects.toThrow('version 0.12.0');
    expect(await findCached('restic')).toBeUndefined();
  });

  it('refuses a package that was cut', async () => {
    const { deb } = await makePackage('0.19.9');
    await truncate(deb, 300);
    await expect(addToCache('restic', deb)).rejects.toThrow(/dpkg/);
  });

  it('removes a program that was changed and unpacks it again', async () => {
    const { deb } = await makePackage('0.19.9');
    const { path } = await addToCache('restic', deb);
    await writeFile(path, '#!/bin/sh\necho restic 0.19.9 but different\n');
    expect(await findCached('restic')).toBeUndefined();
    expect(await run((await addToCache('restic', deb)).path, ['version'], 10)).toContain('compiled');
  });
});

describe('a program that is built', () => {
  const program = '#!/bin/sh\necho Kubernetes v1.20.2\n';

  async function build(target: string, text = program): Promise<void> {
    await writeFile(join(target, 'kube-apiserver'), text, { mode: 0o755 });
  }

  it('is built by one of several processes, whose folder is gone afterwards', async () => {
    await makeFolder();
    let builds = 0;
    const buildOnce = (): ReturnType<typeof buildAlone> =>
      buildAlone('kube-apiserver', async (folder) => {
        builds += 1;
        await writeFile(join(folder, 'source'), '');
        return keep('kube-apiserver', 'kubernetes_1', (target) => build(target));
      });
    const peers = await Promise.all([buildOnce(), buildOnce(), buildOnce()]);
    expect(builds).toBe(1);
    expect(new Set(peers.map(({ path }) => path)).size).toBe(1);
    expect(peers[0].version).toBe('1.20.2');
    expect(await readdir(cacheFolder())).toEqual(['kube-apiserver']);
  });

  it('leaves nothing behind when it fails, and is built anew', async () => {
    await makeFolder();
    const failing = buildAlone('kube-apiserver', () =>
      keep('kube-apiserver', 'kubernetes_1', async (target) => {
        await build(target);
        throw new Error('no space');
      }),
    );
    await expect(failing).rejects.toThrow('no space');
    expect(await readdir(cacheFolder())).toEqual([]);
    expect(await findCached('kube-apiserver')).toBeUndefined();
  });

  it('is taken over from a process that died, with what that left', async () => {
    await makeFolder();
    await mkdir(join(cacheFolder(), '.build-kube-apiserver'), { recursive: true });
    await writeFile(join(cacheFolder(), '.build-kube-apiserver', 'left'), '');
    // Process numbers are smaller than this.
    await writeFile(join(cacheFolder(), '.build-kube-apiserver.lock'), String(2 ** 30));
    const { version } = await buildAlone('kube-apiserver', async (folder) => {
      expect(await readdir(folder)).toEqual([]);
      return keep('kube-apiserver', 'kubernetes_1', (target) => build(target));
    });
    expect(version).toBe('1.20.2');
    expect(await readdir(cacheFolder())).toEqual(['kube-apiserver']);
  });

  it('is not built by a test', async () => {
    await makeFolder();
    vi.stubEnv('PATH', '/nonexistent');
    expect(await findPeer('kube-apiserver', { patient: false })).toEqual({
      peer: undefined,
      reasons: ['it has not been built: pnpm peers', 'no kube-apiserver on PATH'],
    });
  });
});
