import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.ts';

const root: string = join(import.meta.dirname, '..');

/** The project's tools by absolute path, so that a test or script finds them however it was started. */
export const tool = (name: string): string => join(root, 'node_modules', '.bin', name);

/**
 * Builds every package and packs it as it would be published. Returns the tarballs' absolute paths, which are
 * called after the packages: `restic-engine-chunker-0.1.0.tgz`.
 */
export async function packAll(folder: string): Promise<string[]> {
  const build = await run(tool('tsc'), ['-b'], root);
  if (!build.ok) throw new Error(`the build failed:\n${build.output}`);
  const args = ['--recursive', '--filter', './packages/*', 'pack', '--pack-destination', folder];
  const pack = await run(tool('pnpm'), args, root);
  if (!pack.ok) throw new Error(`pnpm pack failed:\n${pack.output}`);
  return (await readdir(folder)).filter((name) => name.endsWith('.tgz')).map((name) => join(folder, name));
}
