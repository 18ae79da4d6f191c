// Real shells complete by what `generate` writes, and a real reader of manual pages reads them.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bashCompletion } from '../../packages/cli/src/generate/bash.ts';
import { fishCompletion } from '../../packages/cli/src/generate/fish.ts';
import { manPages } from '../../packages/cli/src/generate/man.ts';
import { zshCompletion } from '../../packages/cli/src/generate/zsh.ts';
import { allCommands, outlineProgram } from '../../packages/cli/src/manual/outline.ts';
import type { CommandOutline } from '../../packages/cli/src/manual/outline.ts';
import { buildProgram } from '../../packages/cli/src/program.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import type { TempDir } from '../support/temp-dir.ts';

const outline = outlineProgram(await buildProgram(['generate'], {}, () => expect.unreachable()));

/** What is typed before the tab key, and what the last word becomes. */
const CASES: readonly (readonly [typed: string, last: string])[] = [
  ['ba', 'backup'],
  ['snap', 'snapshots'],
  ['-q repair in', 'index'],
  ['key re', 'remove'],
  ['-r place key add --new-password-f', '--new-password-file'],
  ['backup --exclude-ca', '--exclude-caches'],
  ['backup -e x --with-at', '--with-atime'],
  ['backup --repository-f', '--repository-file'],
  ['ls --sort na', 'name'],
  ['ls --sort=na', '--sort=name'],
  ['ls -s na', 'name'],
  ['stats --mode raw', 'raw-data'],
  ['--compression fa', 'fastest'],
  ['forget --group-by ta', 'tags'],
  ['list sn', 'snapshots'],
  ['cat masterk', 'masterkey'],
  ['-qr sftp:host:/x snap', 'snapshots'],
  ['backup patt', 'patterns.txt'],
  ['backup some patt', 'patterns.txt'],
  ['backup -- patt', 'patterns.txt'],
  ['backup --exclude-file patt', 'patterns.txt'],
  ['backup --tag patt', 'patt'],
  ['snapshots patt', 'patt'],
  ['snapshots ba', 'ba'],
  ['repair some in', 'in'],
];
/** Only folders are offered. */
const FOLDERS: typeof CASES = [
  ['restore --target fol', 'folder'],
  ['-r fol', 'folder'],
];

const ALL = [...CASES, ...FOLDERS];

/** Types lines into a shell on a terminal of its own, with the tab key at their ends; resolves with the last words. */
async function type(
  shell: string,
  setUp: string,
  { env, cwd, signal }: { readonly env: Record<string, string>; readonly cwd: string; readonly signal: AbortSignal },
): Promise<string[]> {
  const child = spawn('script', ['-qec', shell, '/dev/null'], { cwd, env: { ...env, TERM: 'xterm', PS1: '' }, signal });
  child.on('error', () => undefined);
  let printed = '';
  let heard = (): void => undefined;
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
    heard();
  });
  const until = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const match = pattern.exec(printed);
      if (match !== null) {
        printed = printed.slice(match.index + match[0].length);
        return match[1] ?? '';
      }
      await new Promise<void>((resolve) => (heard = resolve));
    }
  };
  try {
    child.stdin.write(`source ${setUp}\n`);
    await until(/\{ready\}/);
    const words: string[] = [];
    for (const [typed] of ALL) {
      child.stdin.write(`restic-engine ${typed}\t\n`);
      const all = await until(/\{last=(.*)\}/);
      words.push(all.replace(/\/$/, ''));
    }
    return words;
  } finally {
    child.stdin.end('\nexit\n');
    child.kill();
  }
}

const expected = ALL.map(([, last]) => last);
/** Prints its last argument, which no shell's echo of what was typed looks like. */
const PROGRAM = `restic-engine() { local last; for last in "$@"; do :; done; printf '{%s=%s}\\n' last "$last"; }
printf '{%s}\\n' ready
`;

/** Stands for the function of fish's library. */
const FISH_FOLDERS = 'function __fish_complete_directories; for each in */; echo $each; end; end';

const longNames = ({ flags }: Pick<CommandOutline, 'flags'>): string[] => flags.map(({ long }) => long);
const everyFlag = (command: CommandOutline): string[] =>
  [...longNames(command), ...outline.globalFlags.map(({ long }) => long)].toSorted();

await describeWithPeer('shells', 'what generate writes', ({ path, env: libraries }) => {
  let dir: TempDir;
  const env = { PATH: process.env['PATH'] ?? '', ...libraries };
  /** Beside zsh, in its folders or in those that Debian has for programs. */
  const beside = (name: string): string => {
    const found = [join(dirname(path), name), join(dirname(path), '../usr/bin', name)].find((each) => existsSync(each));
    if (found === undefined) throw new Error(`no ${name} beside ${path}`);
    return found;
  };
  const file = (name: string): string => join(dir.path, name);

  beforeAll(() => {
    dir = makeTempDir();
    writeFileSync(file('c.bash'), bashCompletion(outline));
    writeFileSync(file('c.fish'), fishCompletion(outline));
    mkdirSync(file('fpath'));
    writeFileSync(file('fpath/_restic-engine'), zshCompletion(outline));
    mkdirSync(file('cwd/folder'), { recursive: true });
    for (const name of ['folly', 'patterns.txt']) writeFileSync(file(`cwd/${name}`), '');
  });
  afterAll(() => dir[Symbol.dispose]());

  it('completes in bash', async ({ signal }) => {
    execFileSync('bash', ['-n', file('c.bash')]);
    writeFileSync(file('setup.bash'), `source ${file('c.bash')}\n${PROGRAM}`);
    expect(
      await type('bash --norc --noprofile -i', file('setup.bash'), {
        env: { PATH: env.PATH },
        cwd: file('cwd'),
        signal,
      }),
    ).toEqual(expected);
  });

  it('completes in zsh', async ({ signal }) => {
    execFileSync(path, ['-n', file('fpath/_restic-engine')], { env });
    const root = join(dirname(path), '..');
    const module = readdirSync(join(root, 'usr/lib'), { recursive: true, encoding: 'utf8' }).find((name) =>
      name.endsWith('zsh/complete.so'),
    );
    const setUp = `module_path=(${join(root, 'usr/lib', dirname(dirname(module ?? '')))})
fpath=(${file('fpath')} ${join(root, 'usr/share/zsh/functions')}/**/*(/N))
autoload -Uz compinit && compinit -D -u
${PROGRAM}`;
    writeFileSync(file('setup.zsh'), setUp);
    expect(await type(`${path} -f -i`, file('setup.zsh'), { env, cwd: file('cwd'), signal })).toEqual(expected);
  });

  it('completes in fish', () => {
    const fish = (code: string): string =>
      execFileSync(beside('fish'), ['--no-config', '-c', code], {
        env: { ...env, HOME: dir.path },
        cwd: file('cwd'),
        encoding: 'utf8',
      });
    execFileSync(beside('fish'), ['--no-config', '--no-execute', file('c.fish')], { env: { ...env, HOME: dir.path } });
    const asked = ALL.map(([typed]) => `echo "=$(complete -C 'restic-engine ${typed}' | string split -f 1 \\t)"`);
    const answers = fish([FISH_FOLDERS, `source ${file('c.fish')}`, ...asked].join('\n'))
      .split(/^=/m)
      .slice(1);
    const last = (typed: string): string => typed.split(' ').at(-1) ?? '';
    // Nothing is offered where nothing is to be completed.
    expect(answers.map((answer) => answer.trim().replace(/\/$/, ''))).toEqual(
      ALL.map(([typed, word]) => (last(typed) === word ? '' : word)),
    );
  });

  it('offers every flag of every command, in bash and fish', () => {
    const commands = allCommands(outline.program);
    const lines = commands.map(({ words }) => ['restic-engine', ...words, '--']);
    const wanted = commands.map(everyFlag);
    const inBash = lines.map(
      (words) => `COMP_WORDS=(${words.join(' ')}) COMP_LINE='${words.join(' ')}' COMP_CWORD=${words.length - 1}
_restic_engine 2>/dev/null
printf '%s ' "\${COMPREPLY[@]}"; echo`,
    );
    const bash = execFileSync('bash', ['-c', `source ${file('c.bash')}\n${inBash.join('\n')}`], { encoding: 'utf8' });
    const rows = (text: string): string[][] =>
      text
        .trimEnd()
        .split('\n')
        .map((row) => row.trim().split(' ').toSorted());
    expect(rows(bash)).toEqual(wanted);
    const inFish = lines.map((words) => `echo (complete -C '${words.join(' ')}' | string split -f 1 \\t)`);
    const fish = execFileSync(
      beside('fish'),
      ['--no-config', '-c', [FISH_FOLDERS, `source ${file('c.fish')}`, ...inFish].join('\n')],
      {
        env: { ...env, HOME: dir.path },
        encoding: 'utf8',
      },
    );
    expect(rows(fish)).toEqual(wanted);
  });

  it('has manual pages of which mandoc has nothing to say', () => {
    const pages = manPages(outline, '0.1.0', '2026-01-02');
    expect(pages.map(({ file: name }) => name)).toContain('restic-engine-repair-index.1');
    for (const { file: name, text } of pages) writeFileSync(file(name), text);
    const names = pages.map(({ file: name }) => file(name));
    // Lines may be longer than 80 characters, which is a matter of style.
    const said = execFileSync(beside('mandoc'), ['-Tlint', '-Wwarning', ...names], { env, encoding: 'utf8' });
    expect(said).toBe('');
    const shown = execFileSync(beside('mandoc'), ['-Tutf8', file('restic-engine-forget.1')], {
      env,
      encoding: 'utf8',
    });
    // Bold is a letter, a step back, and the letter again.
    const plain = shown.replaceAll(/.[\b]/g, '');
    for (const word of ['--keep-daily', 'WHICH SNAPSHOTS', 'a snapshot could not be removed'])
      expect(plain).toContain(word);
  });
});
