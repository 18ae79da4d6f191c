/** What it takes to start: the version beside bare Node, short commands at a small local repository beside restic. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { initRepository, localBackend } from 'restic-engine';
import { randomStream } from '../data.ts';
import { machine, machineLine, median } from '../machine.ts';
import { PASSWORD, programs } from '../macro/programs.ts';
import { measure } from '../macro/spawn.ts';
import { saveResult } from '../results.ts';
import { withScratch } from '../scratch.ts';

/** The same cost of opening the key for both. */
const KDF = { N: 32_768, r: 8, p: 1 };
const FILES = 1000;
const FILE_BYTES = 2000;

/** Who takes turns, the one that the others are compared with first. */
type Contest = readonly (readonly [name: string, run: () => Promise<{ readonly seconds: number }>])[];

interface Row {
  readonly contest: string;
  readonly name: string;
  readonly medianMs: number;
  readonly leastMs: number;
  /** Of the medians: how many times as long as the first one. */
  readonly ratio: number;
}

export async function startup(runs: number): Promise<void> {
  await withScratch(2 ** 28, async ({ folder }) => {
    const rows: Row[] = [];
    for (const [contest, entries] of Object.entries(await contests(folder))) {
      rows.push(...(await hold(contest, entries, runs)));
    }
    const facts = machine();
    console.log(`medians and least of ${runs} alternating runs, in ms\n${machineLine(facts)}\n`);
    for (const { contest, name, medianMs, leastMs, ratio } of rows) {
      const times = [medianMs, leastMs].map((ms) => ms.toFixed(0).padStart(6)).join('');
      console.log(`${contest.padEnd(18)}${name.padEnd(32)}${times}   ${ratio.toFixed(2)}×`);
    }
    await saveResult('startup', { runs, machine: facts, rows });
  });
}

async function contests(folder: string): Promise<Record<string, Contest>> {
  const [ours, restic] = await programs();
  const data = join(folder, 'data');
  await mkdir(data);
  const random = randomStream(3);
  for (let i = 0; i < FILES; i++) await writeFile(join(data, String(i)), random(FILE_BYTES));
  const repo = join(folder, 'repository');
  await initRepository({ backend: localBackend(repo), password: PASSWORD, kdf: KDF });
  const at = ['--repo', repo];
  await ours.run([...at, 'backup', data]);
  const both = (...words: string[]): Contest =>
    [restic, ours].map((program) => [program.name, () => program.run([...at, ...words])]);
  const root = join(import.meta.dirname, '../..');
  const bin = join(root, 'packages/cli/bin/restic-engine.js');
  return {
    version: [
      ['node -e 0', () => measure(process.execPath, ['-e', '0'], process.env)],
      ['restic-engine.js', () => measure(process.execPath, [bin, 'version'], process.env)],
      [
        'node_modules/.bin/restic-engine',
        () => measure(join(root, 'node_modules/.bin/restic-engine'), ['version'], process.env),
      ],
    ],
    snapshots: both('snapshots'),
    ls: both('ls', 'latest'),
    'unchanged backup': both('backup', data),
  };
}

async function hold(contest: string, entries: Contest, runs: number): Promise<Row[]> {
  const times = entries.map((): number[] => []);
  // The first round finds nothing in any cache.
  for (let run = -1; run < runs; run++) {
    for (const [i, [, measureOne]] of entries.entries()) {
      const { seconds } = await measureOne();
      if (run >= 0) times[i]?.push(seconds * 1000);
    }
  }
  const first = median(times[0] ?? []);
  return entries.map(([name], i) => {
    const own = times[i] ?? [];
    return { contest, name, medianMs: median(own), leastMs: Math.min(...own), ratio: median(own) / first };
  });
}
