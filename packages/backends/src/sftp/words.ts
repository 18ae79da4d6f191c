import { EngineError } from '@restic-engine/repo-format';

/**
 * Splits a command line into its words as restic does: at spaces, where quotes of either kind hold a word together and a
 * backslash takes the next character as it is, except within single quotes. Throws `bad-request` where a quote is left open.
 */
export function splitWords(text: string, option: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let rest = text;
  while (rest !== '') {
    const [all, space, single, double, escaped, plain] = PART.exec(rest) ?? [];
    if (all === undefined) throw new EngineError('bad-request', `${option} has a quote that is not closed`);
    rest = rest.slice(all.length);
    if (space === undefined) {
      word = (word ?? '') + (single ?? escaped ?? plain ?? double?.replaceAll(/\\(.)/gs, '$1') ?? '');
    } else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** Space, a part in single quotes, one in double quotes, an escaped character, or any other characters. */
const PART = /^(?:(\s+)|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+|\\$))/s;
