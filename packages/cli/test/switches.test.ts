import { expect, it } from 'vitest';
import { buildProgram } from '../src/program.ts';
import { expandSwitches } from '../src/switches.ts';

async function expand(...argv: string[]): Promise<string[]> {
  return expandSwitches(argv, await buildProgram(argv, {}, () => expect.unreachable()));
}

it.each([
  [
    ['--json=true', 'ls'],
    ['--json', 'ls'],
  ],
  [
    ['ls', '--json=1', '--long=T'],
    ['ls', '--json', '--long'],
  ],
  [['ls', '--json=false', '--long=0'], ['ls']],
  [
    ['backup', '--no-scan=true', '--force=false', 'x'],
    ['backup', '--no-scan', 'x'],
  ],
  [
    ['key', 'add', '--new-insecure-no-password=true'],
    ['key', 'add', '--new-insecure-no-password'],
  ],
])('takes %j for %j', async (argv, words) => {
  expect(await expand(...argv)).toEqual(words);
});

it.each([
  [['ls', '--json=maybe']],
  [['ls', '--json=']],
  [['ls', '--host=true', '--sort=1']],
  [['ls', '--host', '--json=true']],
  [['-r', '--json=true', 'ls']],
  [['ls', '--', '--json=true']],
  [['ls', '--bogus=true']],
  // Of another command.
  [['ls', '--dry-run=true']],
])('leaves %j alone', async (argv) => {
  expect(await expand(...argv)).toEqual(argv);
});
