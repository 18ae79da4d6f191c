import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../src/cluster/cluster.ts';
import type { Installation } from '../../src/collect/installation.ts';
import { deploymentOf } from '../../src/database/che-databases.ts';
import { databasesOf } from '../../src/database/databases-of.ts';
import { failureOf } from '../../src/database/failure.ts';
import { connectionString, identifier, literal } from '../../src/database/quote.ts';
import { SUFFIX_LENGTH, temporaryName } from '../../src/database/sql.ts';

/** Nobody is asked before something is dumped. */
const cluster = {} as Cluster;

const installation = (spec: object, changes: Partial<Installation> = {}): Installation =>
  ({ generation: 'v1', namespace: 'che', cheVersion: '7.42.0', cheCluster: { spec }, ...changes }) as Installation;

const found = async (...given: Parameters<typeof databasesOf>): Promise<[string, string][]> =>
  (await databasesOf(...given)).map(({ name, by }) => [name, by]);

describe('the databases of an installation', () => {
  const KEYCLOAK = ['keycloak', 'exec'];
  const CHE = ['dbche', 'exec'];

  it.each([
    ['Che and Keycloak', {}, {}, [CHE, KEYCLOAK]],
    ['of CodeReady Workspaces', {}, { cheVersion: '2.15.1' }, [CHE, KEYCLOAK]],
    ['of one that is not installed yet', {}, { cheVersion: undefined }, [CHE, KEYCLOAK]],
    ['under another name', { database: { chePostgresDb: 'own' } }, {}, [['own', 'exec'], KEYCLOAK]],
    ['with DevWorkspaces', { devWorkspace: { enable: true } }, {}, [CHE]],
    ['with an identity provider elsewhere', { auth: { externalIdentityProvider: true } }, {}, [CHE]],
    ['without Keycloak', {}, { cheVersion: '7.43.0' }, [CHE]],
    ['of DevWorkspaces that had one', {}, { generation: 'v2' as const, cheVersion: '7.61.0' }, [CHE]],
    [
      'of one whose name says nothing',
      { components: { database: { postgresDb: 'own' } } },
      { generation: 'v2' as const, cheVersion: '3.4.0' },
      [['own', 'exec']],
    ],
    [
      'outside, for DevWorkspaces',
      { components: { database: { externalDb: true } } },
      { generation: 'v2' as const, cheVersion: '7.50.0' },
      [['dbche', 'skipped']],
    ],
    ['that the API forgot', { components: { database: {} } }, { generation: 'v2' as const, cheVersion: '7.62.0' }, []],
    ['of no version', {}, { generation: 'v2' as const, cheVersion: undefined }, []],
    ['today', {}, { generation: 'v2' as const, cheVersion: '7.90.0' }, []],
    [
      'of a registry that is off',
      { components: { openVSXRegistry: { enable: false } } },
      { generation: 'v2' as const, cheVersion: '7.90.0' },
      [],
    ],
  ])('%s', async (_, spec, changes, expected) => {
    expect(await found(cluster, installation(spec, changes))).toEqual(expected);
  });

  it('are those of a Deployment', () => {
    const v1 = installation({}, { flavor: 'codeready' });
    expect(['dbche', 'keycloak'].map((name) => deploymentOf(v1, name))).toEqual(['codeready', 'keycloak']);
    const v2 = installation({}, { generation: 'v2', flavor: 'che', cheVersion: '7.50.0' });
    expect(['dbche', 'openvsx'].map((name) => deploymentOf(v2, name))).toEqual(['che', 'openvsx-server']);
    expect(deploymentOf({ ...v2, cheVersion: '7.90.0' }, 'dbche')).toBe('openvsx-server');
  });

  it('are left alone outside of the cluster, but where they are asked for', async () => {
    const spec = { database: { externalDb: true, chePostgresDb: 'own' }, devWorkspace: { enable: true } };
    expect(await found(cluster, installation(spec))).toEqual([['own', 'skipped']]);
    expect(await found(cluster, installation(spec), { external: true })).toEqual([['own', 'network']]);
    const [skipped] = await databasesOf(cluster, installation(spec));
    const error = { code: 'bad-request' };
    await expect(skipped?.dump()[Symbol.asyncIterator]().next()).rejects.toMatchObject(error);
    await expect(skipped?.load((async function* () {})())).rejects.toMatchObject(error);
  });

  it('may have one for the registry of extensions', async () => {
    const text = (value: string): string => Buffer.from(value).toString('base64');
    const asked: unknown[] = [];
    const withSecret = {
      async get(ref: unknown) {
        asked.push(ref);
        return { data: { 'database-name': text('extensions'), 'database-user': text('it') } };
      },
    } as unknown as Cluster;
    const spec = { components: { openVSXRegistry: { enable: true, credentialsSecretName: 'own' } } };
    const today = installation(spec, { generation: 'v2', cheVersion: '7.90.0' });
    expect(await found(withSecret, today)).toEqual([['extensions', 'exec']]);
    expect(asked).toMatchObject([{ namespace: 'che', name: 'own' }]);
  });
});

describe('words for PostgreSQL', () => {
  it('stay one word', () => {
    expect(identifier('a"b\\')).toBe('"a""b\\"');
    expect(literal("it's")).toBe("'it''s'");
    expect(literal("\\'")).toBe("E'\\\\'''");
    expect(connectionString({ dbname: "a' host='b\\", user: '', port: undefined })).toBe(
      "dbname='a\\' host=\\'b\\\\' user=''",
    );
    for (const make of [identifier, literal]) {
      expect(() => make('a\0')).toThrow(expect.objectContaining({ code: 'bad-request' }));
    }
  });

  it('are short enough for names', () => {
    const suffix = 'f'.repeat(SUFFIX_LENGTH);
    expect(temporaryName('dbche', 'restore', suffix)).toBe(`dbche_restore_${suffix}`);
    for (const name of ['a'.repeat(63), 'ü'.repeat(31), '😀'.repeat(15)]) {
      const made = temporaryName(name, 'replaced', suffix);
      expect(Buffer.byteLength(made)).toBeLessThanOrEqual(63);
      expect(Buffer.byteLength(made)).toBeGreaterThan(59);
      expect(made).toMatch(new RegExp(`^${[...name][0] ?? ''}+_replaced_f+$`, 'u'));
    }
  });
});

describe('what PostgreSQL says', () => {
  it.each([
    [
      'psql:<stdin>:12: ERROR:  42P01: relation "canary" does not exist\nLINE 1: canary',
      3,
      'database',
      { line: 11, sqlState: '42P01' },
    ],
    ['ERROR:  42501: permission denied to create database\n', 1, 'denied', { sqlState: '42501' }],
    ['FEHLER:  53100: canary\n', 1, 'no-space', { sqlState: '53100' }],
    [
      'psql: error: connection to server at "h", port 1 failed: FATAL:  password authentication failed for user "canary"',
      2,
      'unauthorized',
      {},
    ],
    ['psql: FATAL:  password authentication failed for user "canary"', 2, 'unauthorized', {}],
    [
      'pg_dump: [archiver (db)] connection to database "canary" failed: FATAL:  database "canary" does not exist',
      1,
      'not-found',
      {},
    ],
    ['pg_dump: error: aborting because of server version mismatch\n', 1, 'unsupported', {}],
    ['psql: error: connection to server on socket "/x" failed: No such file or directory', 2, 'io', {}],
    ['psql: error: connection to server at "h" failed: SSL error: certificate verify failed', 2, 'untrusted', {}],
    ['sh: 1: exec: pg_dump: not found', 127, 'unsupported', {}],
    ['pg_dump: error: query failed: ERROR:  permission denied for table canary', 1, 'denied', {}],
    ['canary', 1, 'database', {}],
    ['', 1, 'database', {}],
  ])('is understood and not repeated: %s', (stderr, exitCode, code, context) => {
    const error = failureOf('do it', { stderr, exitCode }, 2);
    expect(error).toMatchObject({ code, context: { exitCode, ...context } });
    expect(`${error.stack ?? ''} ${JSON.stringify(error)}`).not.toContain('canary');
  });
});
