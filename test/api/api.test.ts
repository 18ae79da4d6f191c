import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

// The public names of every entry point, one file each in exports/: adding, renaming or removing one is a visible change.
// `pnpm test:api` writes the files anew.

const packages: string = join(import.meta.dirname, '..', '..', 'packages');

interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

/** The sources behind each entry point of a package: `restic-engine`, `@restic-engine/backends/conformance`. */
async function entriesOf(folder: string): Promise<{ entry: string; source: string }[]> {
  const manifest = JSON.parse(await readFile(join(packages, folder, 'package.json'), 'utf8')) as Manifest;
  return Object.entries(manifest.exports ?? {}).flatMap(([subpath, target]) => {
    const source = typeof target === 'string' ? undefined : target['@restic-engine/source'];
    if (source === undefined) return [];
    return [{ entry: join(manifest.name, subpath), source: join(packages, folder, source) }];
  });
}

/** Names in `export type { … }`, and those marked `type` in `export { … }`: an index file has no other exports. */
function typesIn(text: string): string[] {
  return [...text.matchAll(/export\s+(type\s+)?\{([^}]*)\}/g)].flatMap(([, all, list]) => {
    const names = (list ?? '')
      .replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')
      .split(',')
      .map((name) => name.trim());
    const types = names.filter((name) => name !== '' && (all !== undefined || name.startsWith('type ')));
    return types.map((name) => name.replace(/^type\s+/, '').replace(/^.*\sas\s+/, ''));
  });
}

const entries = (await Promise.all((await readdir(packages)).sort().map(entriesOf))).flat();

describe('exported names', () => {
  it.each(entries)('of $entry', async ({ entry, source }) => {
    const values = Object.keys((await import(pathToFileURL(source).href)) as object).sort();
    const types = typesIn(await readFile(source, 'utf8')).sort();
    const text = [...values, '', ...types.map((name) => `type ${name}`)].join('\n').trim();
    const file = entry.replace(/^@/, '').replaceAll('/', '.');
    await expect(`${text}\n`).toMatchFileSnapshot(`exports/${file}.txt`);
  });

  it('are named one by one', async () => {
    for (const { entry, source } of entries) {
      expect(await readFile(source, 'utf8'), entry).not.toMatch(
        /export\s+(?:\*|default|const|function|class|let|async)/,
      );
    }
  });
});
