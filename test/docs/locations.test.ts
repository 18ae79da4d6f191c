import { readFileSync } from 'node:fs';
import { extendedOptions, openBackend } from 'restic-engine';
import { expect, it } from 'vitest';

const page = readFileSync(new URL('../../docs/locations.md', import.meta.url), 'utf8');

it('docs/locations.md has every extended option as it is', () => {
  const rows = [...page.matchAll(/^\| `([a-z0-9.-]+\.[a-z0-9-]+)` \| (.+) \|$/gm)];
  expect(rows.map(([, name, description]) => ({ name, description }))).toEqual(extendedOptions());
});

it('docs/locations.md shows locations that can be opened', async () => {
  const [, grammar = ''] = /## Grammar\n([^]*?)\n\n[^|\n]/.exec(page) ?? [];
  const locations = grammar
    .split('\n')
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text));
  expect(locations.length).toBeGreaterThan(10);
  for (const location of locations) {
    await using backend = await openBackend(location, { env: { HOME: '/nonexistent' } });
    expect(backend.location).not.toContain('password');
  }
});
