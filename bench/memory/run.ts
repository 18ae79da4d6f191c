/** Memory stays flat: the peak of the whole process while streams of different lengths are backed up. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Form } from '../data.ts';
import { machine, machineLine } from '../machine.ts';
import { saveResult } from '../results.ts';
import type { MemoryPoint } from './stream.ts';

const MIB: number = 2 ** 20;
const GIB: number = 2 ** 30;
/** Whatever is backed up. */
const LIMIT_BYTES: number = 500 * MIB;
const STREAMS: Readonly<Record<Form, readonly number[]>> = { quick: [1, 3], full: [1, 10] };

interface StreamResult {
  readonly seconds: number;
  readonly points: readonly MemoryPoint[];
}

/** Fails when the peak is above the limit. */
export async function memory(form: Form): Promise<void> {
  const facts = machine();
  console.log(`memory while a stream is backed up, half of it random, half zeros\n${machineLine(facts)}\n`);
  const results: { gibibytes: number; seconds: number; peakRssBytes: number; points: readonly MemoryPoint[] }[] = [];
  for (const gibibytes of STREAMS[form]) {
    const { seconds, points } = await streamOf(gibibytes);
    const peakRssBytes = Math.max(...points.map((point) => point.peakRssBytes));
    results.push({ gibibytes, seconds, peakRssBytes, points });
    console.log(`${gibibytes} GiB in ${seconds.toFixed(1)} s (${((gibibytes * 1024) / seconds).toFixed(0)} MiB/s)`);
    for (const point of points.filter(({ backedUpBytes }) => backedUpBytes % GIB === 0)) {
      const bar = '█'.repeat(Math.round((point.rssBytes / LIMIT_BYTES) * 50));
      const [rss, peak] = [point.rssBytes, point.peakRssBytes].map((bytes) => (bytes / MIB).toFixed(0).padStart(4));
      console.log(`  ${String(point.backedUpBytes / GIB).padStart(2)} GiB  ${rss} MiB, peak ${peak} MiB  ${bar}`);
    }
  }
  await saveResult(`memory-${form}`, { machine: facts, limitBytes: LIMIT_BYTES, results });
  const peak = Math.max(...results.map((result) => result.peakRssBytes));
  if (peak > LIMIT_BYTES) throw new Error(`the peak is ${(peak / MIB).toFixed(0)} MiB, above ${LIMIT_BYTES / MIB} MiB`);
}

async function streamOf(gibibytes: number): Promise<StreamResult> {
  const script = join(import.meta.dirname, 'stream.ts');
  const args = ['--conditions=@restic-engine/source', script, String(gibibytes)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as StreamResult;
}
