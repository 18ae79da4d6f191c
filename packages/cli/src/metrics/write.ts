/** The metrics of a run as a file that Prometheus can be given (Prometheus, "Text-based format", version 0.0.4). */
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Fatal } from '../failure.ts';
import { isMissing } from '../values/text-file.ts';
import { METRICS } from './figures.ts';
import type { Figure } from './figures.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Run {
  /** Of every figure. */
  readonly labels: Labels;
  readonly figures: readonly Figure[];
  readonly exit: number;
  /** Since 1970. */
  readonly startedMs: number;
  readonly endedMs: number;
}

const MODE = 0o644;
const PREFIX = 'restic_engine_';

/** Replaces the file at once: who reads it meanwhile has the old or the new one. */
export async function writeMetrics(file: string, run: Run): Promise<void> {
  const text = renderMetrics(run, await readPrevious(file));
  const temporary = join(dirname(file), `.${basename(file)}.${randomUUID()}.tmp`);
  try {
    // Nobody can have put a link there.
    const handle = await open(temporary, 'wx', MODE);
    try {
      // Whatever the umask: another user reads it.
      await handle.chmod(MODE);
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function readPrevious(file: string): Promise<string> {
  try {
    // A device would be replaced too, /dev/null for all programs of the machine, and a pipe waits for its other end.
    if (!(await stat(file)).isFile()) throw new Fatal(`${file} is not a regular file`);
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}

/** `previous`: the file there was; from it comes what a run that failed does not know. */
export function renderMetrics(run: Run, previous: string): string {
  const { labels, figures, exit, startedMs, endedMs } = run;
  const all: readonly Figure[] = [
    { metric: 'run_timestamp_seconds', value: startedMs / 1000 },
    { metric: 'run_duration_seconds', value: (endedMs - startedMs) / 1000 },
    { metric: 'run_exit_code', value: exit },
    ...lastSuccess(run, previous),
    ...figures,
  ];
  const lines = [...Map.groupBy(all, ({ metric }) => metric)].flatMap(([metric, group]) => [
    `# HELP ${PREFIX}${metric} ${METRICS[metric]}`,
    `# TYPE ${PREFIX}${metric} gauge`,
    ...group.map((figure) => `${seriesOf(figure, labels)} ${figure.value}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function lastSuccess({ labels, exit, endedMs }: Run, previous: string): Figure[] {
  const metric = 'last_success_timestamp_seconds';
  if (exit === 0) return [{ metric, value: endedMs / 1000 }];
  const start = `${seriesOf({ metric }, labels)} `;
  const line = previous.split('\n').find((text) => text.startsWith(start));
  const value = Number(line?.slice(start.length));
  return value > 0 ? [{ metric, value }] : [];
}

function seriesOf({ metric, labels: own = {} }: Pick<Figure, 'metric' | 'labels'>, common: Labels): string {
  const pairs = Object.entries({ ...common, ...own }).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return `${PREFIX}${metric}{${pairs.join(',')}}`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

/** Names of files need not be UTF-8, but labels must be. */
function escapeLabel(value: string): string {
  return value.toWellFormed().replaceAll(/["\\\n]/g, (char) => ESCAPES[char] ?? char);
}
