import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { ScriptLexer } from '../../packages/che-state/src/database/script-lexer.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { pick, randomFrom } from '../support/random.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startPostgres, type Postgres } from './support/postgres.ts';

const run = promisify(execFile);

const MARKS = `' " E e E' '' $$ $a$ $1 $ -- /* */ / - * ( ) ; & U& 1 1e 1. 0x a b _ é : , + @ = B' N'`.split(' ');
const WORDS = 'create or replace function procedure begin case end atomic copy t'.split(' ').map((word) => `${word} `);
const BODY = 'create function f() returns int language sql begin atomic select 1; ';
const LINES = [
  '\n',
  '\n',
  '\r',
  ' ',
  '\t',
  '\\.\n',
  '\n\\.\n',
  '1\n',
  'COPY t FROM stdin;\n',
  'from stdin;',
  'select 1;\n',
];
const PIECES = [...MARKS, ...WORDS, ...LINES, 'begin', 'end', 'create view v as ', BODY];

const SCRIPTS = Number(process.env['RANDOM_SCRIPTS'] ?? 150);

await describeWithPeer('postgresql', 'scripts for psql', (peer) => {
  let postgres: Postgres;

  beforeAll(async () => {
    postgres = await startPostgres(peer);
    await postgres.sql('postgres', 'CREATE TABLE t (a text)');
  });
  afterAll(() => postgres[Symbol.asyncDispose]());

  it('are refused wherever it would find a command of its own (random)', async () => {
    const random = randomFrom(Number(process.env['RANDOM_SEED'] ?? 1));
    const scripts = Array.from({ length: SCRIPTS }, () => {
      const pieces = Array.from({ length: 1 + random.int(8) }, () => pick(random, PIECES));
      return `${pieces.join('')}\\echo FOUND\n`;
    });
    const found = (await psqlFinds(scripts)).map((at) => scripts[at] ?? '');
    for (const script of found) {
      const read = (): unknown => new ScriptLexer().push(Buffer.from(script));
      expect(read, JSON.stringify(script)).toThrow('the dump is refused');
    }
    expect(found.length).toBeGreaterThan(SCRIPTS / 5);
  });

  it('are let through where all backslashes are data or text', async () => {
    const script = `
      SELECT '\\', E'\\'\\\\', "a\\" FROM (SELECT 1 AS "a\\") AS x; -- \\echo FOUND
      /* \\echo FOUND /* */ \\echo FOUND */ SELECT $$ \\ $$, $a$ $$ \\ $b$ $a$, 1.5e-3, a$1, t.a FROM t, (SELECT 2 AS a$1, 3 AS x) AS y;
      CREATE FUNCTION f(int) RETURNS int LANGUAGE sql BEGIN ATOMIC
        SELECT CASE WHEN $1 > 0 THEN 1 END; SELECT 2; END;
      CREATE OR REPLACE FUNCTION g() RETURNS text LANGUAGE sql AS 'SELECT ''\\''';
COPY public.t (a) FROM stdin;
\\\\echo FOUND
\\N
a\\tb \\\\. it's "$$ /*
\\.

SELECT 1;
`;
    await postgres.sql('postgres', 'CREATE DATABASE calm');
    await postgres.sql('calm', 'CREATE TABLE t (a text)');
    const file = join(folder(), 'script.sql');
    writeFileSync(file, script);
    const words = ['-X', '-q', '-U', 'postgres', '-v', 'ON_ERROR_STOP=1', '-f', file];
    const env = { ...postgres.insideEnv, PGDATABASE: 'calm' };
    expect((await run(join(postgres.clients, 'psql'), words, { env })).stdout).not.toMatch(/^FOUND$/m);
    expect(await postgres.sql('calm', 'SELECT count(*) FROM t')).toBe('3');
    expect(Buffer.concat(new ScriptLexer().push(Buffer.from(script))).toString()).toBe(script);
    const bytes = new ScriptLexer();
    const pieces = [...Buffer.from(script)].flatMap((byte) => bytes.push(Uint8Array.of(byte)));
    expect(Buffer.concat(pieces).toString()).toBe(script);
  });

  function folder(): string {
    const dir = makeTempDir();
    onTestFinished(() => dir[Symbol.dispose]());
    return dir.path;
  }

  /** Each in a session of its own, for transactions last longer than scripts. */
  async function psqlFinds(scripts: readonly string[]): Promise<number[]> {
    const cwd = folder();
    for (const [at, script] of scripts.entries()) writeFileSync(join(cwd, `${at}.sql`), script);
    const one = `psql -X -q -U postgres -v ON_ERROR_STOP=1 -f {}.sql 2>&1 | grep -q '^FOUND$' && echo {}`;
    const all = `seq 0 ${scripts.length - 1} | xargs -P 4 -I {} sh -c "${one}"; true`;
    const env = { ...postgres.insideEnv, PGDATABASE: 'postgres' };
    const { stdout } = await run('sh', ['-c', all], { cwd, env });
    return stdout.trim().split('\n').filter(Boolean).map(Number);
  }
});
