/** Results are kept beside the code that made them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes `bench/results/<day>-<name>.json`, and a chart beside it; says where. */
export async function saveResult(name: string, result: object, chart?: string): Promise<void> {
  const day = new Date().toISOString().slice(0, 10);
  const folder = join(import.meta.dirname, 'results');
  await mkdir(folder, { recursive: true });
  const stem = join(folder, `${day}-${name}`);
  await writeFile(`${stem}.json`, `${JSON.stringify({ day, ...result }, undefined, 2)}\n`);
  if (chart !== undefined) await writeFile(`${stem}.svg`, chart);
  console.log(`bench/results/${day}-${name}.json`);
}
