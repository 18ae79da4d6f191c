import { readFileSync } from 'node:fs';
import { CODES } from 'restic-engine';
import { expect, it } from 'vitest';

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');

it('docs/errors.md has the table of codes as it is', () => {
  const rows = [...page.matchAll(/^\| \[`([a-z-]+)`\]\(#\1\) \| (yes|no) \| (\d+) \|$/gm)];
  const table = rows.map(([, code, retryable, exit]) => [code, { retryable: retryable === 'yes', exit: Number(exit) }]);
  expect(Object.fromEntries(table)).toEqual(CODES);
});

it('docs/errors.md says of each code what it means', () => {
  const headings = [...page.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual(Object.keys(CODES));
});
