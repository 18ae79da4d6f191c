// The examples of the commands' help and pages do what they say, on a machine that is made for them.
import { fork, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as engine from 'restic-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '../../packages/cli/test/program.ts';
import { allCommands, outlineProgram } from '../../packages/cli/src/manual/outline.ts';
import { buildProgram } from '../../packages/cli/src/program.ts';
import { splitWords } from '../../packages/cli/src/values/shell-words.ts';
import type { CliAnswer, CliRequest } from '../support/cli-program.ts';
import { openAt } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import type { TempDir } from '../support/temp-dir.ts';
import { copySandbox, makeSandbox, translate } from './sandbox.ts';
import type { Sandbox } from './sandbox.ts';

const outline = outlineProgram(await buildProgram(['generate'], {}, () => expect.unreachable()));
const commands = allCommands(outline.program).slice(1);

const root = join(import.meta.dirname, '../..');

let dir: TempDir;
let original: Sandbox;
let count = 0;
let child: ChildProcess;

beforeAll(async () => {
  dir = makeTempDir();
  original = await makeSandbox(join(dir.path, 'original'));
  child = startProgram();
});
afterAll(() => {
  child.kill();
  dir[Symbol.dispose]();
});

const sandbox = (): Sandbox => copySandbox(original, join(dir.path, String((count += 1))));

function environmentOf({ path }: Sandbox): Record<string, string> {
  return {
    PATH: `${join(path, 'bin')}:${process.env['PATH'] ?? ''}`,
    HOME: path,
    XDG_CONFIG_HOME: join(path, 'config'),
    RESTIC_CACHE_DIR: join(path, 'cache'),
    RESTIC_PASSWORD: PASSWORD,
  };
}

/** One process for all commands: to start one takes longer than most of them. */
function startProgram(): ChildProcess {
  return fork(join(import.meta.dirname, '../support/cli-program.ts'), {
    execArgv: ['--conditions=@restic-engine/source'],
    cwd: dir.path,
    env: environmentOf(original),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

function runPlain(place: Sandbox, words: readonly string[]): Promise<CliAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (code: number | null): void => reject(new Error(`the command line ended with ${String(code)}`));
    child.once('exit', fail);
    child.once('message', (message) => {
      child.off('exit', fail);
      resolve(message as CliAnswer);
    });
    child.send({ words, env: environmentOf(place) } satisfies CliRequest);
  });
}

/** They run until they are interrupted. */
const SPECIAL = ['serve', 'mount'];

/** Interrupts what serves as soon as it says so, and answers what asks. */
function runSpecial(place: Sandbox, words: readonly string[]): ReturnType<typeof runProgram> {
  const listen = words.includes('serve') && !words.includes('--listen') ? ['--listen', '127.0.0.1:0'] : [];
  const options = { cwd: place.path, env: environmentOf(place) };
  if (words.includes('add')) return runProgram(words, { ...options, input: 'another one\n' });
  return runProgram([...words, ...listen], {
    ...options,
    onStart: (child) => void child.stdout?.once('data', () => child.kill('SIGINT')),
  });
}

function textOf({ status, stderr }: CliAnswer): { status: number; stderr: string } {
  return { status, stderr: Buffer.from(stderr, 'base64').toString() };
}

describe('the examples of', () => {
  it.for(commands.map((command) => [command.words.join(' '), command] as const))(
    '%s work',
    { timeout: 60_000 },
    async ([name, command]) => {
      const place = sandbox();
      const lines = (command.manual?.examples ?? []).map(({ words }) => {
        const ofMachine = ['backup', 'restore'].includes(name);
        const meant = name === 'migrate' ? words.replace('/srv/backups', '/srv/old') : words;
        return splitWords(meant).map((word) => translate(word, place, ofMachine));
      });
      expect(lines.some((words) => command.words.every((word) => words.includes(word)))).toBe(true);
      for (const words of lines) {
        const isSpecial = SPECIAL.includes(name) || words.at(-1) === 'add';
        const { status, stderr } = isSpecial ? await runSpecial(place, words) : textOf(await runPlain(place, words));
        expect(isSpecial ? [0, 130] : [0], `${words.join(' ')}\n${stderr}`).toContain(status);
      }
    },
  );
});

const MODULES: Readonly<Record<string, () => Promise<object>>> = {
  'restic-engine': async () => engine,
  'node:fs': () => import('node:fs'),
  'node:stream/promises': () => import('node:stream/promises'),
};

type Code = (
  repository: engine.Repository,
  password: string,
  console: { log(...values: unknown[]): void },
  load: (name: string) => Promise<object>,
) => Promise<void>;

/** The code of a page as a function, its imports as what they mean. */
function compile(source: string, place: Sandbox, ofMachine: boolean): Code {
  const inline = source
    .replaceAll(/^import (\{.*\}) from '(.*)';$/gm, "const $1 = await load('$2');")
    .replaceAll(/'([^'\n]*)'/g, (_, word: string) => `'${translate(word, place, ofMachine)}'`)
    .replaceAll('`/srv/', `\`${place.path}/srv/`);
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as new (...text: string[]) => Code;
  return new AsyncFunction('repository', 'password', 'console', 'load', inline);
}

describe('the code on the page of', () => {
  const names = commands.filter(({ words }) => words.length === 1).map(({ words: [name = ''] }) => name);
  const pages = names.flatMap((name) => {
    const page = readFileSync(join(root, `docs/commands/${name}.md`), 'utf8');
    return [...page.matchAll(/^```js\n([^]*?)^```$/gm)].map(([, code = '']) => [name, code] as const);
  });

  it('most commands is there', () => {
    const without = names.filter((name) => !pages.some(([page]) => page === name));
    expect(without).toEqual(['features', 'generate', 'profile', 'serve', 'version']);
  });

  it('all of them has no mistake that types show', { timeout: 60_000 }, () => {
    // There, modules are found as they are from a test.
    const folder = mkdtempSync(join(import.meta.dirname, '../node_modules/.code-'));
    try {
      const given =
        "import type { Repository } from 'restic-engine';\ndeclare const repository: Repository, password: string;";
      const files = pages.map(([name, code]) => ({ name: `${name}.ts`, text: `${given}\n${code}\nexport {};\n` }));
      for (const { name, text } of files) writeFileSync(join(folder, name), text);
      const compilerOptions = { noEmit: true, composite: false, isolatedDeclarations: false, noImplicitAny: false };
      const config = {
        extends: join(root, 'tsconfig.base.json'),
        compilerOptions,
        files: files.map(({ name }) => name),
      };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
      const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
      expect([stdout, status]).toEqual(['', 0]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  // It stores some 30 MiB, as its example above does.
  it.for(pages.filter(([name]) => name !== 'check-backend'))('%s runs', async ([name, code]) => {
    const place = sandbox();
    await using repository = await openAt(join(place.path, 'srv/backups'), { workers: 0 });
    const printed: unknown[][] = [];
    const log = (...values: unknown[]): void => void printed.push(values);
    const load = (module: string): Promise<object> => MODULES[module]?.() ?? expect.unreachable(module);
    await compile(code, place, ['backup', 'restore'].includes(name))(repository, PASSWORD, { log }, load);
    // What a result does not have would be printed as that.
    expect(printed.map((values) => values.join(' ')).join('\n')).not.toMatch(/undefined|\[object/);
  });
});
