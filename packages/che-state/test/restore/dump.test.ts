import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readDump } from '../../src/restore/dump.ts';

const END = '--\n-- PostgreSQL database dump complete\n--\n\n';
const UNRESTRICTED = `${END}\\unrestrict Ab3${'x'.repeat(60)}\n\n`;

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size));
}

it('knows a whole dump, however it comes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3000 }),
      fc.nat(3000),
      fc.constantFrom(END, UNRESTRICTED),
      fc.boolean(),
      async (size, length, end, isLoaded) => {
        const text = `${'a'.repeat(length)};\n${end}`;
        let read = 0;
        const name = 'dbche';
        await readDump(pieces(text, size), { name, isLoaded, read: (bytes) => (read += bytes) });
        expect(read).toBe(text.length);
      },
    ),
    { numRuns: 50, interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
  );
});

it.each([
  ['is empty', ''],
  ['breaks off', 'CREATE TABLE a (b int);\n'],
  ['breaks off in its last line', '-- PostgreSQL database dump comp'],
  ['goes on after its end', `${END}${'x'.repeat(2000)}`],
])('refuses one that %s', async (_, text) => {
  const options = { name: 'dbche', isLoaded: false, read: () => undefined };
  await expect(readDump(pieces(text, 100), options)).rejects.toMatchObject({
    code: 'corrupt',
    context: { database: 'dbche' },
  });
});

it.each([
  ['has a command for psql', `\\! id\n${END}`, 'database'],
  ['has its last words in a text', `SELECT '\n${END}`, 'corrupt'],
])('refuses one to be loaded that %s, before what it replaces is gone', async (_, text, code) => {
  const options = { name: 'dbche', read: () => undefined };
  await expect(readDump(pieces(text, 7), { ...options, isLoaded: true })).rejects.toMatchObject({ code });
  await readDump(pieces(text, 7), { ...options, isLoaded: false });
});
