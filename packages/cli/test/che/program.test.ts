import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { buildCheProgram } from '../../src/che/program.ts';
import { allCommands, outlineProgram } from '../../src/manual/outline.ts';
import type { CommandOutline } from '../../src/manual/outline.ts';

const MAIN = fileURLToPath(new URL('../../src/che/main.ts', import.meta.url));
const MODULES = fileURLToPath(new URL('../print-modules.mjs', import.meta.url));

/** Runs the program in a process of its own, which names the modules it has loaded at the end. */
function start(words: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['--conditions=@restic-engine/source', '--import', MODULES, MAIN, ...words], {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => void (texts.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (texts.stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, ...texts }));
  });
}

describe('che-backup', () => {
  it.each([[['--help']], [['server:restore', '--help']], [['--version']]])('%j loads nothing else', async (words) => {
    const { status, stdout, stderr } = await start(words);
    expect(status).toBe(0);
    expect(stdout).toContain('che-backup');
    // The program itself must be among the names, or the others prove nothing.
    expect(stderr).toContain('cli/src/che/main.ts');
    expect(stderr).not.toMatch(
      /packages\/(engine|che-state|backends)\/|@kubernetes|@aws-sdk|@clack|node_modules\/yaml/,
    );
  });

  it('says what is wrong with a command line, and ends with 1', async () => {
    expect(await start(['bogus'])).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^unknown command/),
    });
  });
});

const none = (): never => expect.unreachable();
const outline = outlineProgram(await buildCheProgram([], {}, none, { all: true }));
const commandOf = (name: string): CommandOutline =>
  outline.program.commands.find(({ words }) => words[0] === name) ?? expect.unreachable();

describe('flags', () => {
  const both = ['server:backup', 'server:restore'];
  // As chectl had them: flag, short form, variable, and where.
  it.each<[string, string | undefined, string | undefined, readonly string[]]>([
    ['--repository-url', '-r', 'BACKUP_REPOSITORY_URL', both],
    ['--repository-password', '-p', 'BACKUP_REPOSITORY_PASSWORD', both],
    ['--username', undefined, 'REST_SERVER_USERNAME', both],
    ['--password', undefined, 'REST_SERVER_PASSWORD', both],
    ['--ssh-key', undefined, 'SSH_KEY', both],
    ['--ssh-key-file', undefined, 'SSH_KEY_FILE', both],
    ['--aws-access-key-id', undefined, 'AWS_ACCESS_KEY_ID', both],
    ['--aws-secret-access-key', undefined, 'AWS_SECRET_ACCESS_KEY', both],
    ['--backup-server-config-name', undefined, 'BACKUP_SERVER_CONFIG_NAME', both],
    ['--snapshot-id', '-s', undefined, ['server:restore']],
    ['--version', '-v', undefined, ['server:restore']],
    ['--backup-cr-name', undefined, undefined, ['server:restore']],
    ['--rollback', undefined, undefined, ['server:restore']],
    ['--batch', undefined, undefined, both],
    ['--help', '-h', undefined, both],
  ])('%s', (long, short, variable, names) => {
    for (const name of both) {
      const flag = commandOf(name).flags.find((each) => each.long === long);
      expect(flag !== undefined).toBe(names.includes(name));
      if (flag === undefined) continue;
      expect(flag.short).toBe(short);
      if (variable !== undefined) expect(flag.description).toContain(`$${variable}`);
    }
  });

  it('--chenamespace, of every command', () => {
    const flag = outline.globalFlags.find(({ long }) => long === '--chenamespace');
    expect(flag).toMatchObject({ short: '-n', description: expect.stringContaining('$CHE_NAMESPACE') });
  });

  it.each([
    ['server:restore --telemetry=off --listr-renderer silent'],
    ['server:backup --telemetry on --snapshot-id x'],
    ['server:restore --installer helm'],
    ['server:restore --allow bogus'],
    ['server:restore --timeout soon'],
    ['operator --health-port 70000'],
  ])('%s', async (line) => {
    // Old flags that mean nothing any more are no error, other mistakes are.
    const words = line.split(' ');
    const program = await buildCheProgram(words, {}, () => {
      throw new Error('understood');
    });
    const message = /restore --telemetry/.test(line) ? /^understood$/ : /unknown option|invalid|none of/;
    await expect(program.parseAsync(words, { from: 'user' })).rejects.toThrow(message);
  });
});

it.each(
  allCommands(outline.program)
    .slice(1)
    .map((command) => [command.words.join(' '), command] as const),
)('%s has help with examples and exit statuses', (name, { summary, description, manual }) => {
  expect([summary, description]).not.toContain('');
  expect(manual?.examples).not.toEqual([]);
  for (const { words } of manual?.examples ?? []) expect(words.startsWith(name)).toBe(true);
  expect(Object.keys(manual?.exits ?? {})).toEqual(expect.arrayContaining(['0', '1']));
});
