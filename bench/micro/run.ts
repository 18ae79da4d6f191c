/** The kernels on one core, each beside its twin and its rivals in turns. */
import { machine, machineLine } from '../machine.ts';
import { saveResult } from '../results.ts';
import { contests } from './contests.ts';
import { compete, lines, type ContestResult } from './harness.ts';

export async function micro(): Promise<void> {
  const facts = machine();
  console.log(`kernels on one core, medians of alternating rounds\n${machineLine(facts)}\n`);
  const results: ContestResult[] = [];
  for (const contest of await contests()) {
    const result = compete(contest);
    results.push(result);
    console.log(`${lines(result)}\n`);
  }
  await saveResult('micro', { machine: facts, results });
}
