import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Cluster, KubeObject, StateDatabase } from '@restic-engine/che-state';
import { databasesOf } from '@restic-engine/che-state';
import { EngineError } from 'restic-engine';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { describeWithPeers } from '../peers/peers.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startApiServer, type ApiServer } from './support/api-server.ts';
import { comparable, contentOf, streamOf } from './support/dumps.ts';
import { withPods, type PodOptions } from './support/pods.ts';
import { quoted, startPostgres, type Postgres } from './support/postgres.ts';

const NAMESPACE = 'workspaces';
/** Whatever has a meaning to SQL, to libpq, to a shell or in a file of passwords. */
const NAME = `Che's "x"; y=z\\ $HOME`;
const USER = `che "user's`;
const PASSWORD = 'pw:\\ canary-of-the-database';

await describeWithPeers(['postgresql', 'kube-apiserver', 'etcd', 'kubectl'], 'databases', (peers) => {
  const running = new AsyncDisposableStack();
  let postgres: Postgres;
  let server: ApiServer;
  let cluster: Cluster;

  beforeAll(async () => {
    const starting = startApiServer();
    postgres = running.use(await startPostgres(peers.postgresql));
    await postgres.sql('postgres', `CREATE ROLE ${quoted(USER)} LOGIN SUPERUSER PASSWORD '${PASSWORD}'`);
    server = running.use(await starting);
    cluster = running.use(await server.connect());
    const metadata = { namespace: NAMESPACE };
    const secret = { user: USER, password: PASSWORD };
    await server.api.createAll(
      [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }],
      [{ apiVersion: 'v1', kind: 'Secret', metadata: { ...metadata, name: 'che-postgres' }, stringData: secret }],
    );
    // The programs find nothing of this machine's own, and leave nothing behind in its folder for temporary files.
    const temporary = running.use(makeTempDir());
    process.env['PATH'] = `${postgres.clients}${delimiter}${process.env['PATH'] ?? ''}`;
    process.env['TMPDIR'] = temporary.path;
  });
  afterAll(() => running.disposeAsync());

  /** A database with a row of each kind of trouble, and `rows` more. */
  async function makeDatabase(rows = 1000, locale = ''): Promise<void> {
    const name = quoted(NAME);
    await postgres.sql(
      'postgres',
      `DROP DATABASE IF EXISTS ${name}`,
      `CREATE DATABASE ${name} OWNER ${quoted(USER)} ${locale}`,
    );
    await postgres.sql(
      NAME,
      `SET ROLE ${quoted(USER)}`,
      `CREATE TABLE t (id int PRIMARY KEY, "a \\ ""column""" text, bytes bytea)`,
      `INSERT INTO t SELECT i, E'\\\\.\\n\\\\! ''$$ ' || i || E'\\n\\\\.\\n', decode(repeat(md5(i::text), 6), 'hex')
        FROM generate_series(1, ${rows}) AS i`,
      `CREATE FUNCTION in_sql(a int) RETURNS int LANGUAGE sql
        BEGIN ATOMIC SELECT CASE WHEN $1 > 0 THEN a ELSE 2 END; SELECT 1; END`,
      `CREATE FUNCTION in_plpgsql() RETURNS text LANGUAGE plpgsql AS $x$ BEGIN RETURN E'\\'\\\\! ;'; END $x$`,
      `COMMENT ON TABLE t IS 'ends with a backslash \\'`,
      `CREATE VIEW v AS SELECT E'\\\\' || 'b' AS "a""b\\"`,
      `SELECT lo_from_bytea(0, 'large object')`,
    );
  }

  const cheCluster = (database: object, rest: object = {}): KubeObject => ({
    apiVersion: 'org.eclipse.che/v1',
    kind: 'CheCluster',
    metadata: { name: 'che', namespace: NAMESPACE },
    spec: { database: { chePostgresDb: NAME, ...database }, devWorkspace: { enable: true }, ...rest },
  });

  async function onlyDatabase(where: Cluster, database: object, options: object = {}): Promise<StateDatabase> {
    const installation = {
      generation: 'v1',
      cheCluster: cheCluster(database),
      namespace: NAMESPACE,
      flavor: 'che',
      cheVersion: '7.42.0',
      infrastructure: 'Kubernetes',
      appsDomain: '',
      clusterUid: '',
      kubernetesVersion: '',
    } as const;
    const [database_, ...others] = await databasesOf(where, installation, { external: true, ...options });
    expect(others).toEqual([]);
    return database_ as StateDatabase;
  }

  const external = (changes: object = {}, options: object = {}): Promise<StateDatabase> => {
    const place = { chePostgresHostName: '127.0.0.1', chePostgresPort: String(postgres.port) };
    return onlyDatabase(
      cluster,
      { externalDb: true, chePostgresSecret: 'che-postgres', ...place, ...changes },
      options,
    );
  };

  const names = (): Promise<string> => postgres.sql('postgres', 'SELECT datname FROM pg_database ORDER BY oid');
  const properties = (): Promise<string> =>
    postgres.sql(
      'postgres',
      `SELECT pg_get_userbyid(datdba), datacl, datconnlimit, datcollate, daticulocale, setconfig FROM pg_database
        LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid WHERE datname = '${NAME.replaceAll("'", "''")}'`,
    );

  /** All that a load could leave behind. */
  const state = async (): Promise<readonly string[]> => [
    await names(),
    await postgres.sql(NAME, 'SELECT count(*), sum(id), md5(string_agg(bytes::text, NULL ORDER BY id)) FROM t'),
  ];

  /** What fails leaves no trace. */
  async function expectRefusal(
    before: readonly string[],
    database: StateDatabase,
    dump: AsyncIterable<Uint8Array>,
    error: object,
    signal?: AbortSignal,
  ): Promise<EngineError> {
    const refusal = await database.load(dump, { signal }).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(refusal).toBeInstanceOf(EngineError);
    expect(refusal).toMatchObject(error);
    expect(await state()).toEqual(before);
    expect(readdirSync(process.env['TMPDIR'] ?? '')).toEqual([]);
    return refusal as EngineError;
  }

  describe('over the network', () => {
    it('come back with everything that they are, while others are connected and connect again', async () => {
      await makeDatabase(60_000, `TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'`);
      const name = quoted(NAME);
      await postgres.sql(
        'postgres',
        `CREATE ROLE another`,
        `GRANT CONNECT ON DATABASE ${name} TO another WITH GRANT OPTION`,
        `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
        `ALTER DATABASE ${name} CONNECTION LIMIT 50`,
        `ALTER DATABASE ${name} SET search_path TO "$user", public`,
        `ALTER DATABASE ${name} SET application_name TO 'it''s'`,
      );
      const database = await external();
      expect(database).toMatchObject({ name: NAME, by: 'network' });
      const dump = await contentOf(database.dump());
      expect(dump.length).toBeGreaterThan(10 * 2 ** 20);
      const was = await properties();
      await postgres.sql(NAME, 'DELETE FROM t WHERE id % 3 = 0', 'CREATE TABLE later ()');

      let done = false;
      const disturb = async (): Promise<void> => {
        while (!done) await postgres.sql(NAME, 'SELECT pg_sleep(60)').catch(() => undefined);
      };
      const disturbing = [disturb(), disturb(), disturb()];
      const pieces = dump.length / 7;
      await database.load(
        streamOf(...Array.from({ length: 7 }, (_, at) => dump.subarray(at * pieces, (at + 1) * pieces))),
      );
      done = true;
      await postgres.sql(
        'postgres',
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND pid <> pg_backend_pid()`,
      );
      await Promise.all(disturbing);

      expect(comparable(await contentOf(database.dump()))).toBe(comparable(dump));
      expect(await properties()).toBe(was);
      expect((await names()).split('\n').toSorted()).toEqual([NAME, 'postgres', 'template0', 'template1'].toSorted());
      expect(await postgres.sql(NAME, 'SELECT in_sql(7), in_plpgsql(), (SELECT * FROM v)')).toBe(`1|'\\! ;|\\b`);
    });

    it('are made where there is none, and what a load that died left behind goes', async () => {
      await makeDatabase();
      const database = await external();
      const dump = await contentOf(database.dump());
      const [left, used] = ['0123456789abcdef', 'fedcba9876543210'].map((suffix) => `${NAME}_restore_${suffix}`);
      await postgres.sql('postgres', `ALTER DATABASE ${quoted(NAME)} RENAME TO ${quoted(left ?? '')}`);
      await postgres.sql('postgres', `CREATE DATABASE ${quoted(used ?? '')}`);
      const user = postgres.sql(used ?? '', 'SELECT pg_sleep(60)').catch(() => undefined);
      await expect
        .poll(() => postgres.sql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE query ~ '_sleep.60'`))
        .toBe('2');
      await database.load(streamOf(dump));
      expect(comparable(await contentOf(database.dump()))).toBe(comparable(dump));
      expect(await properties()).toMatch(`${USER}|`);
      expect((await names()).split('\n')).toEqual(expect.arrayContaining([NAME, used]));
      expect((await names()).split('\n')).not.toContain(left);
      await postgres.sql('postgres', `DROP DATABASE ${quoted(used ?? '')} WITH (FORCE)`);
      await user;
    });

    it('stay as they were when a load fails', async () => {
      await makeDatabase();
      const database = await external();
      const dump = await contentOf(database.dump());
      const text = dump.toString('latin1');
      const before = await state();
      const cut = (at: number): AsyncIterable<Uint8Array> => streamOf(dump.subarray(0, at));
      const breaksOff = { code: 'database', message: expect.stringContaining('breaks off') };
      await expectRefusal(before, database, streamOf(), breaksOff);
      await expectRefusal(before, database, cut(dump.length / 2), breaksOff);
      await expectRefusal(before, database, cut(text.indexOf('-- PostgreSQL database dump complete')), breaksOff);

      const canary = `SELECT 'canary-in-a-statement' FROM nowhere;\n`;
      const line = text.slice(0, text.lastIndexOf('CREATE ')).split('\n').length;
      const failing = text.replace(/^CREATE (?!.*^CREATE )/ms, `${canary}CREATE `);
      const refusal = await expectRefusal(before, database, streamOf(Buffer.from(failing, 'latin1')), {
        code: 'database',
        context: { sqlState: '42P01', line, exitCode: 3 },
      });
      expect(JSON.stringify(refusal)).not.toContain('canary');
      const badRow = text.replace('\n500\t', '\nno-number canary\t');
      const row = await expectRefusal(before, database, streamOf(Buffer.from(badRow, 'latin1')), {
        context: { sqlState: '22P02' },
      });
      expect(`${row.stack ?? ''} ${JSON.stringify(row)} ${String(row.cause)}`).not.toContain('canary');

      const hacked = join(process.env['TMPDIR'] ?? '', 'hacked');
      const command = `SELECT 1 \\! touch ${hacked}\n;\n`;
      await expectRefusal(before, database, streamOf(command, dump), {
        message: expect.stringContaining('a command for psql'),
      });
      expect(existsSync(hacked)).toBe(false);

      async function* broken(): AsyncGenerator<Uint8Array> {
        yield dump.subarray(0, dump.length / 2);
        throw new EngineError('corrupt', 'a blob is damaged');
      }
      await expectRefusal(before, database, broken(), { code: 'corrupt' });
      const stop = new AbortController();
      async function* stopping(): AsyncGenerator<Uint8Array> {
        yield dump.subarray(0, dump.length / 2);
        stop.abort();
        yield dump.subarray(dump.length / 2);
      }
      await expectRefusal(before, database, stopping(), { code: 'aborted' }, stop.signal);
    });

    it('cannot be dumped by halves', async () => {
      await makeDatabase(40_000);
      const database = await external();
      const dump = database.dump()[Symbol.asyncIterator]();
      await dump.next();
      await postgres.sql(
        'postgres',
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'`,
      );
      const rest = async (): Promise<void> => {
        while (!(await dump.next()).done);
      };
      await expect(rest()).rejects.toMatchObject({ code: expect.stringMatching(/^(?:database|io)$/) });
      // Whoever has read enough ends the program.
      for await (const chunk of database.dump()) if (chunk.length > 0) break;
      await expect
        .poll(() =>
          postgres.sql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'`),
        )
        .toBe('0');
      expect(readdirSync(process.env['TMPDIR'] ?? '')).toEqual([]);
    });

    it.each([
      ['a wrong password', { chePostgresUser: USER, chePostgresPassword: 'wrong canary' }, {}, 'unauthorized'],
      ['another user', { chePostgresUser: 'nobody', chePostgresPassword: PASSWORD }, {}, 'unauthorized'],
      ['a database that is not there', { chePostgresDb: 'none' }, {}, 'not-found'],
      ['a server that is not there', { chePostgresPort: '1' }, {}, 'io'],
      ['a host that is not there', { chePostgresHostName: 'none.invalid' }, {}, 'io'],
      ['a server without TLS', {}, { tls: 'require' }, 'untrusted'],
      ['no user', { chePostgresSecret: '' }, {}, 'bad-request'],
      ['a Secret that is not there', { chePostgresSecret: 'none' }, {}, 'not-found'],
      ['a password of two lines', { chePostgresUser: USER, chePostgresPassword: 'a\nb' }, {}, 'bad-request'],
    ])('say what is wrong: %s', async (_, changes, options, code) => {
      await makeDatabase(1);
      const database = await external(changes, options);
      const error: unknown = await contentOf(database.dump()).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code });
      expect(JSON.stringify(error)).not.toContain('canary');
      expect(readdirSync(process.env['TMPDIR'] ?? '')).toEqual([]);
    });

    it('show their passwords to nobody', async () => {
      await makeDatabase(1);
      const dir = makeTempDir();
      onTestFinished(() => dir[Symbol.dispose]());
      const log = join(dir.path, 'log');
      for (const name of ['psql', 'pg_dump']) {
        const script = `#!/bin/sh\n{ printf '%s\\n' "$@"; env; } >> '${log}'\nexec '${join(postgres.clients, name)}' "$@"\n`;
        writeFileSync(join(dir.path, name), script, { mode: 0o755 });
      }
      const path = process.env['PATH'] ?? '';
      process.env['PATH'] = `${dir.path}${delimiter}${path}`;
      process.env['PGPASSWORD'] = 'of somebody else';
      onTestFinished(() => {
        process.env['PATH'] = path;
        delete process.env['PGPASSWORD'];
      });
      const database = await external();
      await database.load(streamOf(await contentOf(database.dump())));
      const seen = readFileSync(log, 'utf8');
      expect(seen).toContain('--single-transaction');
      expect(seen).not.toMatch(/canary|of somebody else/);
    });

    it('need programs that are there', async () => {
      await makeDatabase(1);
      const path = process.env['PATH'] ?? '';
      process.env['PATH'] = process.env['TMPDIR'];
      onTestFinished(() => {
        process.env['PATH'] = path;
      });
      const error = { code: 'unsupported', message: expect.stringContaining('postgresql-client') };
      await expect(contentOf((await external()).dump())).rejects.toMatchObject(error);
      await expect((await external()).load(streamOf())).rejects.toMatchObject(error);
    });
  });

  describe('in a pod', () => {
    const pod = (name: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: NAMESPACE, labels: { component: 'postgres' } },
      spec: { containers: [{ name: 'postgres', image: 'none' }], serviceAccountName: 'default' },
    });
    const POD = { group: '', version: 'v1', kind: 'Pod', plural: 'pods', namespaced: true } as const;
    const ref = (name: string) => ({ kind: POD, namespace: NAMESPACE, name });

    const inPod = (options: Partial<PodOptions> = {}): Promise<StateDatabase> =>
      onlyDatabase(withPods(cluster, { env: postgres.insideEnv, ...options }), { chePostgresSecret: 'che-postgres' });

    it('cannot be reached where none runs', async () => {
      await server.api.create(pod('a-pending-one'));
      const database = await inPod();
      expect(database.by).toBe('exec');
      await expect(contentOf(database.dump())).rejects.toMatchObject({ code: 'not-found' });
      await expect(database.load(streamOf())).rejects.toMatchObject({ code: 'not-found' });
    });

    it('come back, also where input never ends', async () => {
      await server.api.create(pod('running'));
      await server.api.merge(ref('running'), { status: { phase: 'Running' } }, 'status');
      await makeDatabase();
      const database = await inPod({ keepsStdinOpen: true });
      const dump = await contentOf(database.dump());
      await postgres.sql(NAME, 'DROP TABLE t');
      await database.load(streamOf(dump));
      expect(comparable(await contentOf(database.dump()))).toBe(comparable(dump));
      expect(await properties()).toMatch(`${USER}|`);
      await expectRefusal(await state(), database, streamOf(dump.subarray(0, 5000)), { code: 'database' });
    });

    it('are not loaded by halves where the end of the input is lost on the way', async () => {
      await makeDatabase();
      const dump = await contentOf((await inPod()).dump());
      async function* losing(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        let held: Uint8Array = new Uint8Array();
        for await (const chunk of input) {
          yield held;
          held = chunk;
        }
      }
      await expectRefusal(await state(), await inPod({ stdin: losing }), streamOf(dump), {
        code: expect.stringMatching(/^(?:io|database)$/),
      });
    });

    it('are not dumped by halves where the end of the output is lost on the way', async () => {
      await makeDatabase();
      async function* losing(output: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        const whole = await contentOf(output);
        yield whole.subarray(0, -200);
      }
      await expect(contentOf((await inPod({ stdout: losing })).dump())).rejects.toMatchObject({ code: 'database' });
    });

    it('need programs that are there', async () => {
      const database = await inPod({ env: { PATH: '/nonexistent' } });
      await expect(contentOf(database.dump())).rejects.toMatchObject({ code: 'unsupported' });
    });

    it('are found by programs that the image hides', async () => {
      const dir = makeTempDir();
      onTestFinished(() => dir[Symbol.dispose]());
      const script = join(dir.path, 'enable');
      writeFileSync(script, `PATH='${postgres.insideEnv['PATH'] ?? ''}'\n`);
      await makeDatabase(1);
      const env = { ...postgres.insideEnv, PATH: '/usr/bin:/bin', BASH_ENV: script };
      expect((await contentOf((await inPod({ env })).dump())).length).toBeGreaterThan(1000);
    });
  });
});
