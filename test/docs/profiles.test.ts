// What docs/profiles.md and docs/metrics.md show works as written, on a machine below a temporary folder.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { METRICS } from '../../packages/cli/src/metrics/figures.ts';
import { HOOK_NAMES } from '../../packages/cli/src/profile/hooks.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { complaints, valuesIn } from '../support/schemas.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import type { TempDir } from '../support/temp-dir.ts';

const read = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const profiles = read('profiles.md');
const metrics = read('metrics.md');

function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);
}

interface Machine extends TempDir {
  /** What is meant on this machine. */
  here(text: string): string;
  shell(script: string, options?: { readonly input?: string }): string;
}

/** With what the pages speak of, and with the profiles of the page. */
function makeMachine(): Machine {
  const dir = makeTempDir();
  const here = (text: string): string => text.replaceAll(/(?<![\w.])\/(?=(?:etc|home|srv|var)\/)/g, `${dir.path}/`);
  for (const folder of [
    'home/ann',
    'home/bob',
    'var/lib/metrics',
    'var/lib/node_exporter',
    'var/log',
    'srv/backups',
    'bin',
  ])
    mkdirSync(join(dir.path, folder), { recursive: true });
  const put = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(dirname(join(dir.path, path)), { recursive: true });
    writeFileSync(join(dir.path, path), text, { mode });
  };
  put('home/ann/notes', 'remember');
  put('home/ann/old.iso', 'left out');
  put('home/bob/notes', 'forget');
  put('etc/restic-engine/key', 'open sesame');
  put(
    'bin/restic-engine',
    `#!/bin/sh\nexec "${process.execPath}" --conditions=@restic-engine/source "${MAIN}" "$@"\n`,
    0o755,
  );
  for (const text of [...blocks(profiles, 'toml'), ...blocks(profiles, 'yaml')]) {
    const [, path = ''] = /^# (\/etc\/restic-engine\/\w+\.\w+)\n/.exec(text) ?? [];
    put(path, here(text));
  }
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  const env = { PATH: `${join(dir.path, 'bin')}:${PATH}`, NODE_COMPILE_CACHE, XDG_CONFIG_HOME: join(dir.path, 'etc') };
  return {
    ...dir,
    [Symbol.dispose]: dir[Symbol.dispose],
    here,
    shell: (script, { input = '' } = {}) =>
      execFileSync('sh', ['-euc', here(script)], {
        cwd: dir.path,
        env: { ...env, HOME: dir.path },
        encoding: 'utf8',
        input,
        stdio: 'pipe',
      }),
  };
}

describe('docs/profiles.md', () => {
  it('has commands that work, with the profiles it shows', () => {
    using machine = makeMachine();
    const [commands = ''] = blocks(profiles, 'sh');
    const output = machine.shell(commands);
    expect(output).toMatch(
      /source 1 of 2: \S+home\/ann, \S+home\/bob\n[^]*saved\n\nsource 2 of 2: machine\n[^]*saved\n/,
    );
    expect(output).toContain('keep 7 daily, 5 weekly snapshots');
    const list = machine.shell(
      'restic-engine -P nightly ls latest --host web1; restic-engine -P nightly snapshots --json',
    );
    expect(list).toContain('/machine.txt');
    expect(list).toContain('"tags":["nightly"]');
    expect(list).not.toContain('old.iso');
    expect(machine.shell('cat /var/lib/metrics/backup.prom')).toContain('source="machine"');
    expect(machine.shell('restic-engine -P weekly backup --json')).toContain('"source":');

    // Without the disk there is no backup, and somebody is told.
    const failed = machine.shell(
      'mv /srv/backups /srv/away; restic-engine -P nightly backup || cat /var/log/backup.failed',
    );
    expect(failed).toContain('backup: Fatal: run-before failed (exit status 1): test -d');
  });

  it('shows what profile prints', () => {
    using machine = makeMachine();
    const [block = ''] = blocks(profiles, 'console');
    const [, command = '', shown = ''] = /^\$ (.*)\n([^]*)…\n$/.exec(block) ?? [];
    expect(machine.shell(command).startsWith(machine.here(shown))).toBe(true);
    const json = machine.shell('restic-engine profile nightly --json');
    expect(valuesIn('profile', json).flatMap((value) => complaints('ours', 'profile', value))).toEqual([]);
    const listed = machine.shell('restic-engine profile list --json');
    expect(JSON.parse(listed)).toMatchObject([
      { name: 'base', inherits: [] },
      { name: 'nightly', inherits: ['base'] },
      { name: 'weekly', inherits: ['base'] },
    ]);
  });

  it('prints a profile that can be read again, without its secrets', () => {
    using machine = makeMachine();
    machine.shell('restic-engine profile nightly > copy.toml; restic-engine profile ./copy.toml > again');
    const values = (name: string): string =>
      readFileSync(join(machine.path, name), 'utf8').replaceAll(/^# .*\n|  # .*$/gm, '');
    expect(values('again')).toBe(values('copy.toml'));
    const secrets = `[global]
repo = "rest:https://ann:hunter2@backup.example/"
[copy]
from-repo = "bogus:hunter2"
[env]
AWS_SECRET_ACCESS_KEY = "hunter2"
AWS_REGION = "eu-central-1"
`;
    writeFileSync(join(machine.path, 's.toml'), secrets);
    for (const flag of ['', '--json']) {
      const output = machine.shell(`restic-engine profile ./s.toml ${flag}`);
      expect(output).not.toContain('hunter2');
      for (const text of ['***', 'backup.example', 'eu-central-1']) expect(output).toContain(text);
    }
  });

  it('names all hooks', () => {
    expect([...profiles.matchAll(/^\| `(run-\w+)` \|/gm)].map(([, name]) => name)).toEqual(HOOK_NAMES);
  });
});

describe('docs/metrics.md', () => {
  it('has every metric as the file explains it', () => {
    const rows = [...metrics.matchAll(/^\| `restic_engine_(\w+)` \|.*\| ([^|]+) \|$/gm)];
    expect(Object.fromEntries(rows.map(([, name, help]) => [name, help]))).toEqual(METRICS);
  });
});

await describeWithPeer('promtool', 'metrics', (promtool) => {
  it('are what Prometheus reads: those of the page, and those of runs with strange names', () => {
    using machine = makeMachine();
    const check = (input: string): string => machine.shell(`"${promtool.path}" check metrics`, { input });
    const [, sample = ''] = /^```\n(# HELP [^]*?)^```$/m.exec(metrics) ?? [];
    expect(sample).not.toBe('');
    check(sample);
    // It does look.
    expect(() => check(sample.replace('web1"', 'web1'))).toThrow('parsing error');

    const [command = ''] = blocks(metrics, 'sh');
    machine.shell(`export RESTIC_PASSWORD=x; restic-engine -r /srv/backups init; ${command}`);
    check(readFileSync(join(machine.path, 'var/lib/node_exporter/backup.prom'), 'utf8'));
    const name = 'a "quoted" \\ name\\n,\r{} of\ntwo lines';
    writeFileSync(
      join(machine.path, 'strange.toml'),
      `[backup]\n[[backup.sources]]\nname = ${JSON.stringify(name)}\npaths = ["home", "missing"]\n[[backup.sources]]\npaths = ["etc"]\n`,
    );
    machine.shell(
      'export RESTIC_PASSWORD=x; restic-engine -P ./strange.toml -r /srv/backups --metrics-file m.prom backup || test $? = 3',
    );
    const text = readFileSync(join(machine.path, 'm.prom'), 'utf8');
    expect(text).toContain('run_exit_code{command="backup"');
    // Nothing to complain of, and no advice either.
    expect(check(text)).toBe('');
  });
});
