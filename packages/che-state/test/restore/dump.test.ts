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
      async (size, length, end) => {
        const text = `${'a'.repeat(length)}\n${end}`;
        let read = 0;
        await readDump(pieces(text, size), 'dbche', (bytes) => (read += bytes));
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
  await expect(readDump(pieces(text, 100), 'dbche', () => undefined)).rejects.toMatchObject({
    code: 'corrupt',
    context: { database: 'dbche' },
  });
});
