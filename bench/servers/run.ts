/** restic-engine beside restic at real servers: prints a table and writes it to bench/results. */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { copyTree } from '../../demo/tree.ts';
import { dataSet, type DataName } from '../data.ts';
import { machine, machineLine } from '../machine.ts';
import type { Figures } from '../macro/figures.ts';
import { programs } from '../macro/programs.ts';
import { saveResult } from '../results.ts';
import { withScratch } from '../scratch.ts';
import { compareOn, LINES } from './compare.ts';
import type { Comparison, Operation } from './compare.ts';
import { KINDS } from './kinds.ts';
import type { Kind } from './kinds.ts';
import { table, type KindResult } from './report.ts';
import { countRequests } from './requests.ts';

export interface ServersOptions {
  readonly runs: number;
  readonly set: DataName;
  /** Names of servers; all of them when empty. */
  readonly kinds: readonly string[];
}

export async function servers({ runs, set, kinds }: ServersOptions): Promise<void> {
  const facts = machine();
  const onStep = (text: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  };
  const chosen = kinds.length === 0 ? KINDS : kinds.map(kindNamed);
  const data = await dataSet(set, 'quick');
  // The data, two repositories of it at once on a server, what is on its way, a restored tree.
  await withScratch(data.bytes * 5 + 2 ** 30, async ({ folder, inMemory }) => {
    // Servers keep their files where temporary files go, and some run as another user.
    await chmod(folder, 0o755);
    process.env['TMPDIR'] = folder;
    const both = await programs();
    const source = join(folder, 'data');
    await copyTree(data.folder, source, new AbortController().signal, () => undefined);
    const comparison: Comparison = { both, data: { ...data, folder: source }, folder, runs, onStep };
    const results: KindResult[] = [];
    for (const kind of chosen) results.push(await measureKind(kind, comparison));
    onStep('');
    const versions = both.map((program) => `${program.name} ${program.version}`).join(' beside ');
    const place = inMemory ? 'everything in memory' : 'everything on disk';
    console.log(`${versions}, ${place}, medians of ${runs} alternating runs\n${machineLine(facts)}\n${data.about}\n`);
    console.log(table(results, data.bytes));
    const { about, files, bytes } = data;
    await saveResult('servers', { versions, place, runs, machine: facts, data: { about, files, bytes }, results });
  });
}

async function measureKind(kind: Kind, comparison: Comparison): Promise<KindResult> {
  const lines: Record<string, Figures<Operation>> = {};
  for (const line of LINES) lines[line.name] = await compareOn(kind, line, comparison);
  comparison.onStep(`${kind.name}: counting requests`);
  const requests = kind.http ? await countRequests(kind, comparison.both, comparison.folder) : undefined;
  return { kind: kind.name, about: kind.about, lines, requests };
}

function kindNamed(name: string): Kind {
  const kind = KINDS.find((each) => each.name === name);
  if (kind === undefined) throw new RangeError(`no server ${name}: ${KINDS.map((each) => each.name).join(', ')}`);
  return kind;
}
