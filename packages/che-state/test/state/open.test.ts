import { describe, expect, it } from 'vitest';
import { normalize } from '../../src/objects/strip.ts';
import { openState } from '../../src/state/open.ts';
import { CHE_CLUSTER, codeOf, HOST, INFO, makeRepository, OLD, save, secret } from './harness.ts';

const FILES = { 'backup-info.yaml': INFO, 'che-cr.yaml': CHE_CLUSTER };

async function opened(files: Readonly<Record<string, string | Uint8Array>>) {
  const repository = await makeRepository();
  return openState(repository, await save(repository, files));
}

describe('opening a backup', () => {
  it('shows objects in the order in which they are applied, and reads each', async () => {
    const template =
      'apiVersion: workspace.devfile.io/v1alpha2\nkind: DevWorkspaceTemplate\nmetadata:\n  name: t\n  namespace: jane\n';
    const state = await opened({
      ...FILES,
      'secrets/tls.yaml': secret('tls'),
      'objects/jane/core_Secret/git.yaml': secret('git', 'jane'),
      'objects/jane/workspace.devfile.io_DevWorkspaceTemplate/t.yaml': template,
      'objects/_cluster/core_Namespace/jane.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: jane\n',
      'db/dbche.sql': 'SELECT 1;\n',
    });
    expect(state.objects.map(({ path }) => path)).toEqual([
      'secrets/tls.yaml',
      'che-cr.yaml',
      'objects/_cluster/core_Namespace/jane.yaml',
      'objects/jane/core_Secret/git.yaml',
      'objects/jane/workspace.devfile.io_DevWorkspaceTemplate/t.yaml',
    ]);
    const read = await Promise.all(state.objects.map((object) => state.read(object)));
    expect(read.map(({ kind, metadata: { name } }) => `${kind}/${name}`)).toEqual([
      'Secret/tls',
      'CheCluster/devspaces',
      'Namespace/jane',
      'Secret/git',
      'DevWorkspaceTemplate/t',
    ]);
    expect(state.info).toMatchObject({ namespace: 'eclipse-che', cheVersion: '7.100.0', generation: 'v2' });
    expect(state.databases.map(({ name, size }) => [name, size])).toEqual([['dbche', 10]]);
    const [database] = state.databases;
    const sql = database === undefined ? [] : await Array.fromAsync(state.readDatabase(database));
    expect(Buffer.concat(sql).toString()).toBe('SELECT 1;\n');
  });

  it('tells equal content by its fingerprint', async () => {
    const state = await opened({ ...FILES, 'secrets/a.yaml': secret('a'), 'secrets/b.yaml': secret('b') });
    const again = await opened({
      ...FILES,
      'secrets/a.yaml': secret('a'),
      'secrets/b.yaml': secret('b', 'eclipse-che', 'eA=='),
    });
    const fingerprints = ({ objects }: typeof state) => objects.map(({ fingerprint }) => fingerprint);
    const [a, b] = [fingerprints(state), fingerprints(again)];
    expect(a.map((fingerprint, i) => fingerprint === b[i])).toEqual([true, false, true]);
    expect(new Set(a).size).toBe(3);
  });

  it("reads the old operator's: kinds from folders, times of Go, what it did not strip", async () => {
    await using repository = await makeRepository();
    const owned = `  creationTimestamp: "2022-01-10T09:15:02Z"\n  ownerReferences:\n  - apiVersion: org.eclipse.che/v1\n    kind: CheCluster\n    name: eclipse-che\n    uid: 1b\n  uid: 2c\n`;
    const old = {
      'backup-info.yaml':
        'appsDomain: apps.cluster.example\ncheVersion: 7.42.0\ncreationDate: 2022-01-10 09:15:02.123456789 +0000 UTC m=+81.5\ninfrastructure: Openshift 4\nmetadataFileVersion: v1\nnamespace: eclipse-che\n',
      'che-cr.yaml': `apiVersion: org.eclipse.che/v1\nkind: CheCluster\nmetadata:\n  name: eclipse-che\n  namespace: eclipse-che\n${owned}spec:\n  database:\n    externalDb: false\nstatus:\n  cheVersion: 7.42.0\n`,
      'configmaps/ca-certs.yaml': `data:\n  own.crt: "yes"\nmetadata:\n  name: ca-certs\n  namespace: eclipse-che\n${owned}`,
      'secrets/postgres.yaml': `data:\n  user: 0o17\nmetadata:\n  name: postgres\n  namespace: eclipse-che\n${owned}type: Opaque\n`,
      'db/dbche.sql': '-- dump',
    };
    await save(repository, old, OLD);
    const state = await openState(repository, 'latest', { host: HOST });
    expect(state.info).toMatchObject({
      creationDate: '2022-01-10T09:15:02.123456789Z',
      infrastructure: 'Openshift 4',
      namespace: 'eclipse-che',
      generation: undefined,
    });
    const metadata = (name: string) => ({ name, namespace: 'eclipse-che' });
    expect(await Promise.all(state.objects.map((object) => state.read(object)))).toEqual([
      { apiVersion: 'v1', kind: 'Secret', metadata: metadata('postgres'), type: 'Opaque', data: { user: '0o17' } },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata('ca-certs'), data: { 'own.crt': 'yes' } },
      {
        apiVersion: 'org.eclipse.che/v1',
        kind: 'CheCluster',
        metadata: metadata('eclipse-che'),
        spec: { database: { externalDb: false } },
      },
    ]);
  });

  it('finds the files of the old operator below their folder, too', async () => {
    await using repository = await makeRepository();
    const below = Object.fromEntries(
      Object.entries(FILES).map(([path, text]) => [`tmp/che-backup-data/${path}`, text]),
    );
    const state = await openState(repository, await save(repository, below, OLD));
    expect(state.objects.map(({ path }) => path)).toEqual(['che-cr.yaml']);
  });

  it('reads many objects with few requests, and a second time with none', async () => {
    let loads = 0;
    await using repository = await makeRepository(() => void loads++);
    const names = Array.from({ length: 300 }, (_, i) => `s${i}`);
    const secrets = Object.fromEntries(names.map((name) => [`secrets/${name}.yaml`, secret(name)]));
    const state = await openState(repository, await save(repository, { ...FILES, ...secrets }));
    const opening = loads;
    for (const object of state.objects) await state.read(object);
    expect(loads - opening).toBeLessThan(5);
    const reading = loads;
    for (const object of state.objects) await state.read(object);
    expect(loads).toBe(reading);
  });

  it('gives what normalizing leaves as it is', async () => {
    const state = await opened({ ...FILES, 'secrets/a.yaml': secret('a') });
    for (const object of state.objects) expect(normalize(await state.read(object))).toEqual(await state.read(object));
  });
});

describe('a damaged or hostile backup', () => {
  const info = (change: (text: string) => string) => ({ ...FILES, 'backup-info.yaml': change(INFO) });

  it.each<[string, Readonly<Record<string, string | Uint8Array>>, string]>([
    ['without its information', { 'che-cr.yaml': CHE_CLUSTER }, 'corrupt'],
    ['without a CheCluster', { 'backup-info.yaml': INFO }, 'corrupt'],
    ['of nothing', { a: 'b' }, 'corrupt'],
    ['of a later format', info((text) => text.replace('Version: v1', 'Version: v2')), 'unsupported'],
    ['of no namespace', info((text) => text.replace('namespace: eclipse-che', 'namespace: ../etc')), 'corrupt'],
    ['of no infrastructure', info((text) => text.replace('Openshift 4', 'Nomad')), 'corrupt'],
    ['of no YAML', info(() => '{'), 'corrupt'],
    ['of no text', { ...FILES, 'backup-info.yaml': new Uint8Array([0xff, 0xfe, 0]) }, 'corrupt'],
    ['with a file of its own', { ...FILES, 'notes.txt': 'x' }, 'corrupt'],
    ['with a folder of its own', { ...FILES, 'more/a.yaml': 'x' }, 'corrupt'],
    ['with a folder too deep', { ...FILES, 'objects/a/core_Secret/b/c.yaml': 'x' }, 'corrupt'],
    ['with a kind of a later version', { ...FILES, 'objects/a/core_Pod/b.yaml': 'x' }, 'unsupported'],
    ['with a CheCluster of another version', { ...FILES, 'che-cr.yaml': CHE_CLUSTER.replace('v2', 'v3') }, 'corrupt'],
    ['with a CheCluster without a name', { ...FILES, 'che-cr.yaml': CHE_CLUSTER.replace('name:', 'nick:') }, 'corrupt'],
  ])('%s is refused', async (_what, files, code) => {
    expect(await codeOf(opened(files))).toBe(code);
  });

  it.each<[string, string | Uint8Array, string]>([
    ['another name', secret('b'), 'corrupt'],
    ['another namespace', secret('a', 'kube-system'), 'corrupt'],
    ['no namespace', secret('a').replace(/ {2}namespace.*\n/, ''), 'corrupt'],
    ['another kind', secret('a').replace('kind: Secret', 'kind: ConfigMap'), 'corrupt'],
    ['another version', secret('a').replace('apiVersion: v1', 'apiVersion: v2'), 'corrupt'],
    ['a value that is no text', secret('a', 'eclipse-che', '[1]'), 'corrupt'],
    ['a label that is no text', secret('a').replace('metadata:\n', 'metadata:\n  labels:\n    a: 1\n'), 'corrupt'],
    ['a list', '- a\n', 'corrupt'],
    ['nothing', '', 'corrupt'],
    ['references', `a: &a [1]\nb: *a\n${secret('a')}`, 'corrupt'],
    ['no text', Buffer.from(secret('a').replace('dmFs', '\xff'), 'latin1'), 'corrupt'],
    ['too much', `# ${'x'.repeat(9 * 2 ** 20)}\n${secret('a')}`, 'too-large'],
  ])(
    '%s where there should be an object is refused when it is read, without its content',
    async (_what, yaml, code) => {
      const state = await opened({ ...FILES, 'secrets/a.yaml': yaml });
      const object = state.objects.find(({ path }) => path === 'secrets/a.yaml');
      const error: unknown = await state.read(object!).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: 'EngineError', code });
      expect(JSON.stringify(error) + String(error)).not.toContain('dmFsdWU');
      expect(JSON.stringify(error)).toContain('secrets/a.yaml');
    },
  );
});
