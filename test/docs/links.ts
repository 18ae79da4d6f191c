/** Links of pages. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';

/** Everything that a page links to in this checkout is there, headings too. */
export function expectLinks(page: string): void {
  for (const [, link = ''] of readFileSync(page, 'utf8').matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
    const [file = '', anchor] = link.split('#');
    const path = file === '' ? page : join(dirname(page), file);
    expect(existsSync(path), `${page}: ${link}`).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(path), `${page}: ${link}`).toContain(anchor);
  }
}

/** What GitHub calls the headings of a page. */
function anchorsOf(path: string): string[] {
  const headings = [...readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => text);
  return headings.map((text) =>
    text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
