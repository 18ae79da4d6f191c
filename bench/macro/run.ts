/** restic-engine beside restic, whole processes: prints a table and writes it to bench/results. */
import { join } from 'node:path';
import { copyTree } from '../../demo/tree.ts';
import { dataSet, type DataName, type Form } from '../data.ts';
import { machine, machineLine } from '../machine.ts';
import { saveResult } from '../results.ts';
import { withScratch } from '../scratch.ts';
import { compare, type SetResult } from './compare.ts';
import { programs } from './programs.ts';
import { chart, table } from './report.ts';

export interface MacroOptions {
  readonly form: Form;
  readonly runs: number;
  readonly sets: readonly DataName[];
}

export async function macro({ form, runs, sets }: MacroOptions): Promise<void> {
  const facts = machine();
  const results: SetResult[] = [];
  const step = (text: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  };
  let versions = '';
  let place = '';
  for (const name of sets) {
    step(`making the ${name} data set`);
    const data = await dataSet(name, form);
    // The data, two repositories and a restored tree, all in one place: whether a disk has to be read is no question then.
    await withScratch(data.bytes * 4 + 2 ** 30, async ({ folder, inMemory }) => {
      const both = await programs();
      versions = both.map((program) => `${program.name} ${program.version}`).join(' beside ');
      place = inMemory ? 'everything in memory' : 'everything on disk';
      const source = join(folder, 'data');
      await copyTree(data.folder, source, new AbortController().signal, () => undefined);
      results.push(await compare(both, { ...data, folder: source }, folder, runs, step));
    });
  }
  step('');
  console.log(`${versions}, ${place}, medians of ${runs} alternating runs\n${machineLine(facts)}\n`);
  console.log(table(results, facts.cores));
  await saveResult(
    `macro-${form}`,
    { versions, place, runs, machine: facts, results },
    chart(results, machineLine(facts)),
  );
}
