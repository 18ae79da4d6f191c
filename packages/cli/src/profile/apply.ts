/** Sets the flags of a command as a profile says. */
import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { findGlobalFlag } from '../flags.ts';
import type { GlobalFlags } from '../flags.ts';
import type { GlobalFlag } from '../global-flag.ts';
import { resolveGlobals } from '../globals.ts';
import type { Environment } from '../globals.ts';
import { collect } from '../values/filter.ts';
import { textsAt, unknownKey, wrong } from './entry.ts';
import type { Entry, Table } from './entry.ts';
import { rivalsOf, variablesOf } from './precedence.ts';

/** Flags that no profile can set. */
const NEVER: ReadonlySet<string> = new Set(['help', 'profile']);

/** What a command takes, and where it is kept. */
export interface Target {
  readonly command: CommandUnknownOpts;
  readonly flags: GlobalFlags;
  /** Flags that the command line turns off, without `--`. */
  readonly off: ReadonlySet<string>;
  /** Before the profile. */
  readonly env: Environment;
}

/** A flag, and what a profile wants it to be. */
export interface Setting {
  /** Without `--`. */
  readonly key: string;
  readonly entry: Entry;
  /** What counts instead: `--repo` or `$RESTIC_REPOSITORY`. */
  readonly beatenBy: string | undefined;
  set(): void;
}

/**
 * What `settings` say, understood but not set. Throws for keys that are no flags of the command and for values they
 * cannot have.
 */
export function readSettings(settings: Table, target: Target): Setting[] {
  const known = namesOf(target.command);
  return [...settings.members].map(([key, entry]) => {
    const option = known.get(key);
    if (option === undefined) throw unknownKey(key, entry, known.keys());
    const flag = findGlobalFlag(key);
    const set =
      flag === undefined ? ownFlag(key, option, entry, target.command) : globalFlag(key, flag, entry, target.flags);
    return { key, entry, beatenBy: beatenBy(key, target, known), set };
  });
}

/** Sets what nothing stronger has set. */
export function applySettings(settings: Table, target: Target): void {
  // All are read first: what one sets must not look as if it had been given.
  for (const { beatenBy: stronger, set } of readSettings(settings, target)) if (stronger === undefined) set();
}

/** Calls `read` while `settings` are set, and takes them back. */
export function withSettings<T>(settings: Table, target: Target, read: () => T): T {
  const { command } = target;
  const before = command.options.map((option) => {
    const name = option.attributeName();
    return { name, value: command.getOptionValue(name), source: command.getOptionValueSource(name) };
  });
  applySettings(settings, target);
  try {
    return read();
  } finally {
    for (const { name, value, source } of before) command.setOptionValueWithSource(name, value, source);
  }
}

/** The flags that a profile can set, without `--`. */
export function namesOf(command: CommandUnknownOpts): Map<string, Option> {
  const named = command.options.map((option): [string, Option] => [option.long?.slice(2) ?? '', option]);
  return new Map(named.filter(([name]) => name !== '' && !NEVER.has(name)));
}

function beatenBy(
  key: string,
  { command, flags, off, env }: Target,
  known: ReadonlyMap<string, Option>,
): string | undefined {
  if (off.has(key)) return `--${key}=false`;
  for (const name of rivalsOf(key)) {
    const attribute = known.get(name)?.attributeName();
    const isGiven =
      findGlobalFlag(name) === undefined
        ? attribute !== undefined && command.getOptionValueSource(attribute) === 'cli'
        : camelCase(name) in flags;
    if (isGiven) return `--${name}`;
  }
  const variable = variablesOf(key).find((name) => env[name]);
  return variable && `$${variable}`;
}

function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

function globalFlag(key: string, flag: GlobalFlag<GlobalFlags>, entry: Entry, flags: GlobalFlags): () => void {
  const takesValue = flag.flags.includes('<');
  const texts = takesValue ? valuesAt(entry, key, flag.repeated ?? false) : timesOf(entry, key);
  const alone: GlobalFlags = {};
  for (const text of texts) flag.apply(alone, text);
  checked(key, entry, () => resolveGlobals(alone, {}));
  return () => {
    for (const text of texts) flag.apply(flags, text);
  };
}

/** `true` is once; `verbose` may be said twice. */
function timesOf(entry: Entry, key: string): string[] {
  const { kind } = entry;
  const value = kind === 'scalar' ? entry.value : undefined;
  const times = value === true ? 1 : value === false ? 0 : value;
  if (times === 0 || times === 1 || (times === 2 && key === 'verbose')) return Array.from({ length: times }, () => '');
  throw wrong(entry.origin, `"${key}" must be true or false${key === 'verbose' ? ', or a level up to 2' : ''}`);
}

function ownFlag(key: string, option: Option, entry: Entry, command: CommandUnknownOpts): () => void {
  const set = (value: unknown): void => void command.setOptionValueWithSource(option.attributeName(), value, 'config');
  if (!option.required) {
    const isOn = timesOf(entry, key).length > 0;
    // commander keeps the opposite of a flag that begins with `no-`.
    return () => set(option.negate ? !isOn : isOn || undefined);
  }
  const { parseArg } = option;
  const texts = valuesAt(entry, key, parseArg === collect);
  const value = checked(key, entry, () =>
    texts.reduce<unknown>((previous, text) => (parseArg === undefined ? text : parseArg(text, previous)), undefined),
  );
  // An empty list takes back what was said before.
  return () => set(value);
}

function valuesAt(entry: Entry, key: string, isRepeated: boolean): string[] {
  if (entry.kind === 'list' && !isRepeated) throw wrong(entry.origin, `"${key}" takes one value`);
  return textsAt(entry, `"${key}"`);
}

function checked<T>(key: string, { origin }: Entry, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    // Flags that are known under their names have those in their messages.
    const message = error instanceof Error ? error.message : String(error);
    throw wrong(origin, message.includes(key) ? message : `"${key}": ${message}`);
  }
}
