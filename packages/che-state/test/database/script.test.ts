import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { knowsRestrict, scriptOf } from '../../src/database/script.ts';
import { ScriptLexer } from '../../src/database/script-lexer.ts';

const DUMP = `--
-- PostgreSQL database dump
--

\\restrict Abc123

SET standard_conforming_strings = on;
CREATE TABLE public.t (
    a text DEFAULT 'it''s \\'::text
);
COPY public.t (a) FROM stdin;
\\N
x\\ty
\\.


--
-- PostgreSQL database dump complete
--

\\unrestrict Abc123

`;
const PLAIN = DUMP.replaceAll(/^\\(?:un)?restrict .*$/gm, '');

function read(script: string, pieces: readonly number[] = []): { text: string; complete: boolean } {
  const lexer = new ScriptLexer();
  const bytes = Buffer.from(script);
  const ends = [...pieces.map((end) => end % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  const parts = ends.flatMap((end, at) => lexer.push(bytes.subarray(ends[at - 1] ?? 0, end)));
  return { text: Buffer.concat(parts).toString(), complete: lexer.complete };
}

describe('a dump for psql', () => {
  it('is what it was but for the restriction of commands, however it comes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), (pieces) => {
        expect(read(DUMP, pieces)).toEqual({ text: PLAIN, complete: true });
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('is complete only with its last words, and with nothing after them', () => {
    const end = DUMP.indexOf('dump complete') + 'dump complete\n'.length;
    for (let length = 0; length < end; length++) {
      // A cut within a command or a dollar quote is known at once.
      expect(read(DUMP.slice(0, length)).complete, `${length}`).toBe(false);
    }
    expect(read(DUMP.slice(0, end)).complete).toBe(true);
    expect(read(DUMP.slice(0, end + 2)).complete).toBe(false);
    for (const more of ['SELECT 1', 'SELECT 1;\n', ';', '-', '/', '/*', "'", '"', '$', '(', '\\restrict']) {
      expect(read(DUMP + more).complete, more).toBe(false);
    }
    expect(read(`${DUMP} \n-- a comment\n/* another */\n`).complete).toBe(true);
    expect(read(`SELECT '\n-- PostgreSQL database dump complete\n'`).complete).toBe(false);
    expect(read('SELECT 1\n-- PostgreSQL database dump complete\n').complete).toBe(false);
    expect(read('COPY t FROM stdin;\n-- PostgreSQL database dump complete\n--\n').complete).toBe(false);
  });

  it.each([
    ['\\! id', 1],
    ['\\restrict', 1],
    ['\\restrict a; \\! id', 1],
    ['SELECT 1 \\gexec', 1],
    ['\n\nSELECT 1;\n \\restrict a', 4],
    ['SELECT 1\n\\restrict a', 2],
    ["E'a' 'b\\'", 1],
    ["U&'a\\'", 1],
    ["1e'a\\'", 1],
    ['SELECT $ab$ $a$ab$ \\! id', 1],
    ['create function f begin select case when true then 1 end; COPY t FROM stdin;\n\\! id', 2],
    ['SELECT 1\0', 1],
    ['COPY t TO stdout;', 1],
    ['COPY t FROM stdin WITH (FORMAT csv);', 1],
    ['COPY t FROM stdin; SELECT 1', 1],
    ['create 1 function f begin; COPY t FROM stdin;\n\\! id', 1],
    ["create E'' or replace function f begin; COPY t FROM stdin;\n\\! id", 1],
    ['create function f begin; COPY t FROM stdin;\n\\! id', 2],
    ['(; COPY t FROM stdin;\n\\! id', 2],
    ['-- a\r\\! id', 1],
    [`\\restrict ${'a'.repeat(400)}`, 1],
    [`$${'a'.repeat(400)}`, 1],
  ])('has no commands for psql, nor what versions disagree about: %j', (script, line) => {
    expect(() => read(`${script}\n`)).toThrow(expect.objectContaining({ code: 'database', context: { line } }));
  });

  it('may have names that mean something elsewhere', () => {
    const script = 'CREATE FUNCTION f(begin int) RETURNS int AS $$1$$;\nCOPY t (begin) FROM stdin;\n\\N\n\\.\n';
    expect(read(script).text).toBe(script);
  });

  it('is not loaded by halves', async () => {
    async function* half(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(DUMP.slice(0, 200));
    }
    const reading = Array.fromAsync(scriptOf(half(), true).input);
    await expect(reading).rejects.toMatchObject({ code: 'database', message: expect.stringContaining('breaks off') });
  });

  it('is restricted by a word that nobody can know, and proves that it was read to its end', async () => {
    async function* dump(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(DUMP);
    }
    const textOf = async (restricted: boolean): Promise<[string, number, string]> => {
      const { input, firstLine, proof } = scriptOf(dump(), restricted);
      const chunks: Uint8Array[] = [];
      for await (const chunk of input) chunks.push(chunk);
      return [Buffer.concat(chunks).toString(), firstLine, proof];
    };
    const [text, firstLine, proof] = await textOf(true);
    const [, key = ''] = /^\\restrict ([\da-f]{64})\n/.exec(text) ?? [];
    expect(text).toBe(`\\restrict ${key}\n${PLAIN}\nSELECT '${proof}';\n\\unrestrict ${key}\n\\q\n`);
    expect(text.split('\n')[firstLine - 1]).toBe(DUMP.split('\n')[0]);
    expect((await textOf(true))[0]).not.toContain(key);
    const [open, first] = await textOf(false);
    expect(open).toMatch(/^--[^\\]*-- PostgreSQL database dump\n/);
    expect(first).toBe(1);
  });

  it.each([
    ['psql (PostgreSQL) 9.6.24', false],
    ['psql (PostgreSQL) 13.21', false],
    ['psql (PostgreSQL) 13.22', true],
    ['psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)', true],
    ['psql (PostgreSQL) 16.9', false],
    ['psql (PostgreSQL) 17.6', true],
    ['psql (PostgreSQL) 18.0', true],
    ['psql (PostgreSQL) 19beta1', true],
    ['', false],
  ])('is restricted where psql can: %s', (version, expected) => {
    expect(knowsRestrict(version)).toBe(expected);
  });
});
