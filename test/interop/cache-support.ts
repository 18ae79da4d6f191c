import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomFrom } from '../support/random.ts';

/** The paths of all files below a folder. */
export function filesBelow(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Twenty files in five folders. */
export function writeSource(path: string, seed: number): void {
  const random = randomFrom(seed);
  for (let folder = 0; folder < 5; folder++) {
    mkdirSync(join(path, `folder ${folder}`), { recursive: true });
    for (let file = 0; file < 4; file++) writeFileSync(join(path, `folder ${folder}`, `${file}`), random.bytes(3000));
  }
}
