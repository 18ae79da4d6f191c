/** Splits a command line into words as a shell does, without giving it to one. */
import { UsageError } from '../failure.ts';

/** Outside quotes: text, an escape, a quoted part, or an opening quote without its end. */
const PART = /[^\s\\'"]+|\\(.?)|'([^']*)'|"((?:[^"\\]|\\.)*)"|(['"])|\s+/gsu;
const ESCAPED = /\\(["\\$`])/g;

/**
 * The words of a command: separated by white space, quoted by `'…'` and `"…"`, or with `\` before one character.
 * Nothing is expanded. Throws for a quote that is not closed, and for a command without words.
 */
export function splitWords(command: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (const [all, escaped, single, double, open] of command.matchAll(PART)) {
    if (open !== undefined) throw new UsageError(`${open === '"' ? 'double' : 'single'}-quoted string not terminated`);
    if (/^\s/.test(all)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word = (word ?? '') + (escaped ?? single ?? double?.replace(ESCAPED, '$1') ?? all);
  }
  if (word !== undefined) words.push(word);
  if (words.length === 0) throw new UsageError('the command is empty');
  return words;
}
