import { EngineError } from '@restic-engine/repo-format';

/**
 * Splits a command line into its words as restic does: at spaces, where quotes of either kind hold a word together and a
 * backslash takes the next character as it is, except within single quotes. Throws `bad-request` where a quote is left open.
 */
export function splitWords(text: string, option: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\' && quote !== "'" && at + 1 < text.length) {
      at += 1;
      word = (word ?? '') + text.charAt(at);
    } else if (quote !== '') {
      if (character === quote) quote = '';
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + character;
  }
  if (quote !== '') throw new EngineError('bad-request', `${option} has a quote (${quote}) that is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}
