import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { backup, files } from 'restic-engine';
import { expect, it } from 'vitest';
import { displayWidth } from '../../packages/cli/src/render/width.ts';
import { startCli } from '../support/cli.ts';
import { CHEAPEST } from '../support/damage.ts';
import { initAt, openAt } from '../support/repository.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import type { TempDir } from '../support/temp-dir.ts';
import { onTerminal } from '../support/terminal.ts';

// What a person sees: tables that fit, progress that stays on its line, colors only where they are wanted, and nothing
// from a repository that could speak to the terminal.

const ESCAPE = '\u001B';
const EVIL = `evil${ESCAPE}]0;title\u0007${ESCAPE}[2J\nname\u009b`;
const QUOTED = String.raw`evil\x1b]0;title\a\x1b[2J\nname\u0085`.replace('0085', '009b');
const HOST = `a-long-name.of-a-host.example${ESCAPE}[31m`;
const TAGS = ['日本語のタグ', 'another-tag', 'third-tag', 'fourth-tag'];
/** What we write ourselves: colors, and wiping the lines of the progress. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const OWN = /\u001B\[(?:\d+m|2K|1A)/g;

interface Place extends TempDir {
  readonly repo: string;
  /** Ids, the oldest first. */
  readonly snapshots: readonly string[];
  /** Runs words on a terminal. */
  on(columns: number, words: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>;
}

async function makePlace(): Promise<Place> {
  const dir = makeTempDir();
  const [repo, data] = [join(dir.path, 'repo'), join(dir.path, 'data')];
  await initAt(repo, { kdf: CHEAPEST });
  mkdirSync(join(data, 'sub'), { recursive: true });
  writeFileSync(join(data, EVIL), 'x');
  writeFileSync(join(data, 'sub/日本語'), 'x');
  writeFileSync(join(data, 'large'), Buffer.alloc(500_000, Math.random().toString()));
  const repository = await openAt(repo, { workers: 0 });
  const snapshots: string[] = [];
  for (const [target, tags] of [
    [join(data, 'sub'), [...TAGS]],
    [data, ['x']],
  ] as const) {
    const { snapshotId } = await backup(repository, { source: files({ targets: [target] }), hostname: HOST, tags });
    snapshots.push(snapshotId ?? '');
  }
  await repository[Symbol.asyncDispose]();
  const on: Place['on'] = (columns, words, env = {}) =>
    onTerminal(words, { columns, repo, cwd: dir.path, env: { TZ: 'UTC', ...env } });
  return { ...dir, [Symbol.dispose]: dir[Symbol.dispose], repo, snapshots, on };
}

function linesOf(output: string): string[] {
  return stripVTControlCharacters(output).split('\r\n');
}

it('fits tables into the terminal, and keeps them whole elsewhere', async () => {
  using place = await makePlace();
  const columns = 76;
  const table = await place.on(columns, ['snapshots']);
  const lines = linesOf(table);
  for (const line of lines) expect(displayWidth(line), line).toBeLessThanOrEqual(columns);
  expect(lines[2]).toBe('-'.repeat(columns));
  expect(table).toContain(`${ESCAPE}[1mID  `);
  // Nothing is lost: what was wrapped makes the names again.
  const [from = 0, to] = [lines[1]?.indexOf('Tags'), lines[1]?.indexOf('Paths')];
  const first = lines.slice(
    3,
    lines.findIndex((line) => line.includes(' x ')),
  );
  const tags = first.map((line) => cellAt(line, from, to ?? 0)).join('');
  expect(tags).toBe(TAGS.join(','));

  using cli = startCli({ repo: place.repo });
  const { stdout } = await cli.run(['snapshots']);
  expect(stdout).toContain(`${TAGS.join(',')}  ${join(place.path, 'data/sub')}`);
  expect(stdout).toContain(HOST);
});

/** What is between two columns of a terminal, without blanks at the end. */
function cellAt(line: string, from: number, to: number): string {
  let column = 0;
  let text = '';
  for (const char of line) {
    if (column >= from && column < to) text += char;
    column += displayWidth(char);
  }
  return text.trim();
}

it('shows names without letting them speak to the terminal', async () => {
  using place = await makePlace();
  const commands = [
    ['snapshots'],
    ['ls', '-l', 'latest'],
    ['find', 'evil*'],
    ['restore', 'latest', '--target', 'out', '-vv'],
    ['backup', 'data', '--force', '-vv'],
    ['forget', '--keep-last', '1', '--group-by', '', '--dry-run'],
    ['ls', 'latest', '--host', HOST, `/${ESCAPE}[31m`],
    ['snapshots', EVIL],
  ];
  const outputs = await Promise.all(commands.map((words) => place.on(80, words)));
  for (const [index, output] of outputs.entries()) {
    const rest = output.replaceAll(OWN, '');
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    expect(rest, commands[index]?.join(' ')).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/);
  }
  const text = outputs.map((output) => stripVTControlCharacters(output));
  for (const index of [1, 2, 3, 4]) expect(text[index], commands[index]?.join(' ')).toContain(QUOTED);
  expect(text[1]).toContain(String.raw`"a-long-name.of-a-host.example\x1b[31m"`);

  // Programs get the bytes.
  using cli = startCli({ repo: place.repo });
  expect((await cli.run(['ls', 'latest'])).stdout).toContain(EVIL);
});

it('has colors where they are wanted, and no escapes on a dumb terminal', async () => {
  using place = await makePlace();
  const [older = '', newer = ''] = place.snapshots;
  const show = ['backup', 'data', 'missing', '--dry-run'];
  const [plain, colored, dumb, missing, changes] = await Promise.all([
    place.on(80, show, { NO_COLOR: '1' }),
    place.on(80, show),
    place.on(80, show, { TERM: 'dumb' }),
    place.on(80, ['snapshots', '--password-command', 'echo wrong']),
    place.on(80, ['diff', older, newer]),
  ]);
  expect(changes).toContain(`${ESCAPE}[32m+    ${place.path}/data/large${ESCAPE}[39m\r\n`);
  expect(colored).toContain(`${ESCAPE}[33mmissing does not exist, skipping${ESCAPE}[39m`);
  expect(missing).toContain(`${ESCAPE}[31mFatal: wrong password or no key found${ESCAPE}[39m`);
  expect(plain.match(OWN)?.filter((code) => code.endsWith('m')) ?? []).toEqual([]);
  expect(dumb).not.toContain(ESCAPE);
  for (const output of [plain, dumb]) expect(output).toContain('missing does not exist, skipping\r\n');
});

it('tells of progress on lines that do not wrap', async () => {
  using place = await makePlace();
  const columns = 40;
  // Two seconds' worth, whatever the speed of the machine.
  writeFileSync(join(place.path, 'data/fresh'), randomBytes(300_000));
  const output = await place.on(columns, ['backup', 'data', '--host', 'new', '--limit-upload', '150']);
  const [, ...frames] = output.split(`${ESCAPE}[2K\r`);
  expect(frames.length).toBeGreaterThan(3);
  const drawn = frames.slice(0, -1).flatMap((frame) => frame.split('\r\n'));
  for (const line of drawn) expect(displayWidth(stripVTControlCharacters(line)), line).toBeLessThan(columns);
  expect(output).toMatch(/snapshot [0-9a-f]{8} saved/);
});
