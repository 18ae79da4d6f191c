import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { METRICS } from '../src/metrics/figures.ts';
import { renderMetrics, writeMetrics } from '../src/metrics/write.ts';
import type { Run } from '../src/metrics/write.ts';
import { makeTempDir } from './temp-dir.ts';

const RUN: Run = {
  labels: { command: 'backup', host: 'h' },
  figures: [
    { metric: 'backup_errors', value: 1, labels: { source: 'a' } },
    { metric: 'backup_added_bytes', value: 2 ** 60 },
    { metric: 'backup_errors', value: 0, labels: { source: 'b' } },
  ],
  exit: 0,
  startedMs: 1_700_000_000_500,
  endedMs: 1_700_000_002_750,
};

interface Sample {
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly value: number;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
const UNESCAPED: Readonly<Record<string, string>> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' };

/** Reads the text format strictly: every metric has HELP, then TYPE, then all its samples, each once. */
function parse(text: string): Sample[] {
  expect(text.endsWith('\n')).toBe(true);
  const samples: Sample[] = [];
  const seen = new Set<string>();
  let current = '';
  let state: 'help' | 'type' | 'sample' = 'sample';
  for (const line of text.slice(0, -1).split('\n')) {
    const [, keyword, named = ''] = new RegExp(`^# (HELP|TYPE) (${NAME}) \\S`).exec(line) ?? [];
    if (keyword === 'HELP') {
      expect(state).toBe('sample');
      expect(seen).not.toContain(named);
      seen.add((current = named));
      state = 'help';
    } else if (keyword === 'TYPE') {
      expect([state, named, line]).toEqual(['help', current, `# TYPE ${current} gauge`]);
      state = 'type';
    } else {
      const [, name, inner = '', value] = new RegExp(`^(${NAME})\\{(.*)\\} (\\S+)$`, 's').exec(line) ?? [];
      expect([name, state === 'help']).toEqual([current, false]);
      state = 'sample';
      samples.push({ name: current, labels: labelsOf(inner), value: Number(value) });
      expect(value).toMatch(/^-?\d+(?:\.\d+)?(?:e[+-]\d+)?$/);
    }
  }
  const series = samples.map(({ name, labels }) =>
    JSON.stringify([
      name,
      ...Object.keys(labels)
        .toSorted()
        .map((key) => [key, labels[key]]),
    ]),
  );
  expect(new Set(series).size).toBe(series.length);
  return samples;
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const [all = '', name = '', value = ''] = LABEL.exec(rest) ?? [];
    expect(all, rest).not.toBe('');
    expect(labels).not.toHaveProperty([name]);
    labels[name] = value.replaceAll(/\\./g, (escape) => UNESCAPED[escape] ?? expect.unreachable());
    rest = rest.slice(all.length);
  }
  return labels;
}

const last = (text: string): number | undefined =>
  parse(text).find(({ name }) => name === 'restic_engine_last_success_timestamp_seconds')?.value;

describe('renderMetrics', () => {
  it('has each metric once, with all of its samples', () => {
    const labels = RUN.labels;
    expect(parse(renderMetrics(RUN, ''))).toEqual([
      { name: 'restic_engine_run_timestamp_seconds', labels, value: 1_700_000_000.5 },
      { name: 'restic_engine_run_duration_seconds', labels, value: 2.25 },
      { name: 'restic_engine_run_exit_code', labels, value: 0 },
      { name: 'restic_engine_last_success_timestamp_seconds', labels, value: 1_700_000_002.75 },
      { name: 'restic_engine_backup_errors', labels: { ...labels, source: 'a' }, value: 1 },
      { name: 'restic_engine_backup_errors', labels: { ...labels, source: 'b' }, value: 0 },
      { name: 'restic_engine_backup_added_bytes', labels, value: 2 ** 60 },
    ]);
  });

  it('keeps any text in a label, as far as it is Unicode', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'n', ',', '}', 'é', '\udc80', '\r') }), (host) => {
        const [sample] = parse(renderMetrics({ ...RUN, labels: { host } }, ''));
        expect(sample?.labels['host']).toBe(host.replaceAll('\udc80', '\ufffd'));
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('keeps the last success of the same labels when a run fails', () => {
    const success = renderMetrics(RUN, '');
    const failed: Run = { ...RUN, exit: 3, endedMs: RUN.endedMs + 1000 };
    expect(last(renderMetrics(failed, success))).toBe(1_700_000_002.75);
    expect(last(renderMetrics(failed, renderMetrics(failed, success)))).toBe(1_700_000_002.75);
    expect(last(renderMetrics(failed, ''))).toBeUndefined();
    expect(last(renderMetrics({ ...failed, labels: { command: 'forget', host: 'h' } }, success))).toBeUndefined();
    expect(
      last(renderMetrics(failed, success.replace(/^(restic_engine_last.*) \S+$/m, '$1 nonsense'))),
    ).toBeUndefined();
  });

  it('explains every metric in a sentence, and names units as Prometheus wants them', () => {
    for (const [name, help] of Object.entries(METRICS)) {
      expect(name).toMatch(/^[a-z]+(?:_[a-z]+)+$/);
      expect(help).toMatch(/^[A-Z][^\n\\]*\.$/);
    }
  });
});

describe('writeMetrics', () => {
  it('replaces the file, for all to read, and leaves nothing else', async () => {
    using dir = makeTempDir();
    const file = join(dir.path, 'a.prom');
    writeFileSync(file, 'old\n');
    chmodSync(file, 0o600);
    const before = statSync(file).ino;
    const mask = process.umask(0o077);
    try {
      await writeMetrics(file, RUN);
    } finally {
      process.umask(mask);
    }
    expect(readFileSync(file, 'utf8')).toBe(renderMetrics(RUN, ''));
    expect(statSync(file).mode & 0o777).toBe(0o644);
    // Another file: who has opened the old one reads it to its end.
    expect(statSync(file).ino).not.toBe(before);
    expect(readdirSync(dir.path)).toEqual(['a.prom']);
  });

  it('leaves nothing when it fails', async () => {
    using dir = makeTempDir();
    mkdirSync(join(dir.path, 'folder.prom', 'x'), { recursive: true });
    await expect(writeMetrics(join(dir.path, 'folder.prom'), RUN)).rejects.toThrow('is not a regular file');
    await expect(writeMetrics(join(dir.path, 'no', 'a.prom'), RUN)).rejects.toThrow('ENOENT');
    expect(readdirSync(dir.path)).toEqual(['folder.prom']);
  });

  it('leaves devices and pipes what they are', async () => {
    using dir = makeTempDir();
    const [pipe, link] = [join(dir.path, 'pipe'), join(dir.path, 'null')];
    execFileSync('mkfifo', [pipe]);
    symlinkSync('/dev/null', link);
    for (const file of [pipe, link]) await expect(writeMetrics(file, RUN)).rejects.toThrow('is not a regular file');
    expect(lstatSync(pipe).isFIFO()).toBe(true);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readdirSync(dir.path).toSorted()).toEqual(['null', 'pipe']);
  });
});
