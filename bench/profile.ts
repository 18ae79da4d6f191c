/**
 * Where the time of one operation goes, thread by thread:
 *
 *     node --conditions=@restic-engine/source bench/profile.ts first|unchanged|force|restore [large|small] [--full]
 *
 * The operation runs in a process of its own under --cpu-prof; its profiles stay for Chrome's developer tools.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { backup, files, initRepository, localBackend, openRepository, restore } from 'restic-engine';
import { dataSet, type DataName } from './data.ts';
import { withScratch } from './scratch.ts';

const PASSWORD = 'measured';
const TOP = 18;

interface Profile {
  readonly nodes: readonly { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

async function operate(operation: string, folder: string): Promise<void> {
  await withScratch(4 * 2 ** 30, async (scratch) => {
    const backend = localBackend(join(scratch.folder, 'repository'));
    await initRepository({ backend, password: PASSWORD, kdf: { N: 32768, r: 8, p: 1 } });
    const repository = await openRepository({ backend, password: PASSWORD });
    const timed = async (name: string, work: () => Promise<unknown>): Promise<void> => {
      const since = performance.now();
      await work();
      console.log(`${name}: ${((performance.now() - since) / 1000).toFixed(2)} s`);
    };
    const source = files({ targets: [folder], scan: false });
    if (operation !== 'first') await timed('(first)', () => backup(repository, { source }));
    // Workers write their profiles when they end by themselves; a mark tells which samples count.
    console.log(`MARK ${process.hrtime.bigint()}`);
    await timed(operation, () =>
      operation === 'restore'
        ? restore(repository, { snapshot: `latest:${folder}`, target: join(scratch.folder, 'out') })
        : backup(repository, { source, force: operation === 'force' }),
    );
    await repository[Symbol.asyncDispose]();
  });
}

/** Self time by function in ms, longest first, of the part of a profile after `mark` (microseconds). */
function selfTimes({ nodes, samples, timeDeltas }: Profile, start: number, mark: number): [string, number][] {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === '' ? '' : ` ${basename(url)}:${lineNumber + 1}`;
      return [id, `${functionName || '(anonymous)'}${place}`];
    }),
  );
  const times = new Map<string, number>();
  let now = start;
  for (const [i, sample] of samples.entries()) {
    const delta = timeDeltas[i] ?? 0;
    now += delta;
    if (now < mark) continue;
    const name = names.get(sample) ?? '?';
    times.set(name, (times.get(name) ?? 0) + delta / 1000);
  }
  return [...times].sort((a, b) => b[1] - a[1]);
}

async function profile(operation: string, name: DataName, full: boolean): Promise<void> {
  const { folder } = await dataSet(name, full ? 'full' : 'quick');
  const profiles = await mkdtemp(join(tmpdir(), 'restic-engine-profile-'));
  const flags = ['--conditions=@restic-engine/source', '--cpu-prof', `--cpu-prof-dir=${profiles}`];
  const child = spawn(process.execPath, [...flags, import.meta.filename, '--in', folder, operation], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [status] = (await once(child, 'close')) as [number];
  if (status !== 0) throw new Error(`the operation failed:\n${output}`);
  console.log(output.replace(/^MARK.*\n/m, ''));
  const mark = Number(BigInt(/^MARK (\d+)$/m.exec(output)?.[1] ?? 0) / 1000n);
  for (const file of (await readdir(profiles)).sort()) {
    const parsed = JSON.parse(await readFile(join(profiles, file), 'utf8')) as Profile & { startTime: number };
    console.log(`${join(profiles, file)}`);
    for (const [what, ms] of selfTimes(parsed, parsed.startTime, mark).slice(0, TOP)) {
      console.log(`${ms.toFixed(0).padStart(8)} ms  ${what}`);
    }
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: 'boolean', default: false }, in: { type: 'string' } },
});
const [operation = 'first', name = 'large'] = positionals;
if (values.in !== undefined) await operate(operation, values.in);
else await profile(operation, name === 'small' ? 'small' : 'large', values.full);
