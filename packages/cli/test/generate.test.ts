// What real shells make of these files is judged in test/interop; there is none for PowerShell.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bashCompletion } from '../src/generate/bash.ts';
import { fishCompletion } from '../src/generate/fish.ts';
import { powershellCompletion } from '../src/generate/powershell.ts';
import { zshCompletion } from '../src/generate/zsh.ts';
import { allCommands, outlineProgram } from '../src/manual/outline.ts';
import { buildProgram } from '../src/program.ts';
import { runProgram } from './program.ts';
import { makeTempDir } from './temp-dir.ts';

const outline = outlineProgram(await buildProgram(['generate'], {}, () => expect.unreachable()));

describe('completion for PowerShell', () => {
  const script = powershellCompletion(outline);

  it('has every command, flag and word', () => {
    for (const { words, flags, arguments: args } of allCommands(outline.program)) {
      expect(script).toContain(`\n        '${words.join(' ')}' = @{\n`);
      const values = [...flags, ...outline.globalFlags, ...args].flatMap(({ values: each }) =>
        typeof each === 'object' ? each : [],
      );
      for (const word of [...flags.map(({ long }) => long), ...values]) expect(script).toContain(`'${word}'`);
    }
  });

  it('closes what it opens', () => {
    // To PowerShell, typographic quotes are quotes.
    expect(script).toMatch(/^[\n -~]*$/);
    // Comments, then texts, in which a quote is written twice.
    const code = script.replaceAll(/^ *#.*$/gm, '').replaceAll(/'(?:[^'\n]|'')*'|"[^"\n]*"/g, 'text');
    expect(code).not.toMatch(/['"`]/);
    const open: string[] = [];
    const pairs: Readonly<Record<string, string>> = { ')': '(', '}': '{', ']': '[' };
    for (const [sign] of code.matchAll(/[(){}[\]]/g)) {
      if (pairs[sign] === undefined) open.push(sign);
      else expect(open.pop()).toBe(pairs[sign]);
    }
    expect(open).toEqual([]);
  });
});

describe('generate', () => {
  it('writes all files at once, and pages with the date that is asked for', async () => {
    using dir = makeTempDir();
    const shells = ['bash', 'fish', 'powershell', 'zsh'];
    const { status, stdout } = await runProgram(
      ['generate', '--man', '.', ...shells.flatMap((shell) => [`--${shell}-completion`, shell])],
      { cwd: dir.path, env: { SOURCE_DATE_EPOCH: '86400' } },
    );
    expect(status).toBe(0);
    expect(stdout.split('\n')).toContain('writing fish completion file to fish');
    const written = (name: string): string => readFileSync(join(dir.path, name), 'utf8');
    expect(shells.map(written)).toEqual(
      [bashCompletion, fishCompletion, powershellCompletion, zshCompletion].map((write) => write(outline)),
    );
    const pages = allCommands(outline.program).map(({ words }) => `${['restic-engine', ...words].join('-')}.1`);
    expect(readdirSync(dir.path).toSorted()).toEqual([...shells, ...pages].toSorted());
    expect(written('restic-engine-ls.1')).toMatch(/^\.TH "RESTIC-ENGINE-LS" "1" "1970-01-02" "restic-engine \d/);
  });

  it('prints nothing beside a script', async () => {
    using dir = makeTempDir();
    const { stdout } = await runProgram(['generate', '--man', dir.path, '--bash-completion', '-']);
    expect(stdout).toBe(bashCompletion(outline));
  });
});
