/** Flags without a value that are given one all the same. */
import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { parseBoolean } from './values/boolean.ts';

/**
 * `--json=true` as `--json`, and `--json=false` as nothing at all: restic's flags are on and off by a value, too. Words
 * that belong to a flag before them, and those after `--`, are left alone. `onOff` is told of flags that are off, without
 * `--`: no profile may turn them on.
 */
export function expandSwitches(
  argv: readonly string[],
  program: CommandUnknownOpts,
  onOff: (name: string) => void = () => undefined,
): string[] {
  const options = allOptions(program);
  const switches = new Set(options.filter(({ required }) => !required).map(({ long }) => long));
  const valued = new Set(options.filter(({ required }) => required).flatMap(({ short, long }) => [short, long]));
  const end = argv.indexOf('--');
  const last = end < 0 ? argv.length : end;
  return argv.flatMap((word, index) => {
    const [, flag, text = ''] = /^(--[a-z-]+)=(.*)$/s.exec(word) ?? [];
    if (index >= last || !switches.has(flag) || valued.has(argv[index - 1] ?? '')) return word;
    const value = parseBoolean(text);
    if (value === undefined) return word;
    if (value) return flag ?? [];
    onOff(word.slice(2, word.indexOf('=')));
    return [];
  });
}

function allOptions(command: CommandUnknownOpts): Option[] {
  return [...command.options, ...command.commands.flatMap(allOptions)];
}
