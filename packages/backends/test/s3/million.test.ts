import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { entry, page, startS3 } from './server.ts';

const PROGRAM = fileURLToPath(new URL('million-program.mjs', import.meta.url));
const PAGE = 1000;

/** A page of files whose names begin with the page's number. */
const ENTRIES = Array.from({ length: PAGE }, (_, file) => {
  const name = `########${file.toString(16).padStart(56, '0')}`;
  return entry(`data/##/${name}`, file);
}).join('');

function pageAt(number: number, pages: number): string {
  const hex = (number * 65_537).toString(16).padStart(8, '0');
  const next =
    number + 1 < pages
      ? `true</IsTruncated><NextContinuationToken>${number + 1}</NextContinuationToken>`
      : 'false</IsTruncated>';
  return page(ENTRIES.replaceAll('########', hex).replaceAll('##', hex.slice(0, 2)), `<IsTruncated>${next}`);
}

it('lists a million files in the memory of a hundred thousand', { timeout: 120_000 }, async () => {
  await using server = await startS3(({ path, query }, response) => {
    response.end(pageAt(Number(query.get('continuation-token') ?? 0), Number(/\d+/.exec(path)?.[0])));
  });
  const measure = async (pages: number): Promise<{ count: number; bytes: number; peakKiB: number }> => {
    const words = ['--conditions=@restic-engine/source', PROGRAM, server.url.slice(0, -1), `pages-${pages}`];
    return JSON.parse((await promisify(execFile)(process.execPath, words)).stdout);
  };
  const few = await measure(100);
  const many = await measure(1000);
  expect(few.count).toBe(100_000);
  expect(many).toMatchObject({ count: 1_000_000, bytes: (1000 * (PAGE - 1) * PAGE) / 2 });
  // The names alone are 64 MB more.
  expect(many.peakKiB - few.peakKiB).toBeLessThan(32 * 1024);
});
