/** Where statements of a script begin and end, as psql finds it out: it counts parentheses and the bodies of functions. */

const LONGEST_WORD = 64;
/** A number as dumps have them. Versions disagree on where others end. */
const NUMBER = /^(?:\d[\d_]*(?:e[-+]?\d+)?|0[box][\da-f_]+)$/;

/** How a statement ended: `goes-on` in a function's body, `rows` where those of a COPY follow. */
export type StatementEnd = 'plain' | 'goes-on' | 'rows' | 'unclear';

export class StatementTracker {
  #word = '';
  #empty = true;
  /** The first words, while nothing else came between them. */
  #head: string[] = [];
  /** Only the body of a `function` has semicolons of its own, in psql from version 14 on. */
  #kind: 'undecided' | 'function' | 'other' | 'unclear' = 'undecided';
  #lastWords: readonly string[] = [];
  #parentheses = 0;
  #blocks = 0;
  #sawBegin = false;

  /** Nothing but space and comments so far. */
  get isEmpty(): boolean {
    return this.#empty && this.#word === '';
  }

  /** The word that has not ended yet, in lower case. */
  get word(): string {
    return this.#word;
  }

  get isNumber(): boolean {
    return /^\d/.test(this.#word);
  }

  /** A number that ends in `e`, which a sign may follow. */
  get wantsExponent(): boolean {
    return /^\d[\d_]*e$/.test(this.#word);
  }

  wordByte(byte: number): void {
    if (this.#word.length < LONGEST_WORD) this.#word += String.fromCharCode(byte).toLowerCase();
  }

  /** Ends a word, if there is one. False for a number that is none. */
  endWord(): boolean {
    const word = this.#word;
    if (word === '') return true;
    if (this.isNumber) {
      this.other();
      return NUMBER.test(word);
    }
    this.#word = '';
    this.#empty = false;
    this.#lastWords = [this.#lastWords.at(-1) ?? '', word];
    if (this.#kind === 'undecided') this.#decide(word);
    if (this.#parentheses === 0) this.#count(word);
    return true;
  }

  /** Something that is neither word nor space; a word right before it belongs to it. */
  other(): void {
    this.#word = '';
    this.#empty = false;
    this.#lastWords = [];
    if (this.#kind === 'undecided') this.#kind = 'unclear';
  }

  open(): void {
    this.#parentheses += 1;
  }

  close(): void {
    if (this.#parentheses > 0) this.#parentheses -= 1;
  }

  /** At a semicolon. */
  end(): StatementEnd {
    if (this.#kind === 'unclear' && this.#sawBegin) return 'unclear';
    if (this.#parentheses > 0 || this.#blocks > 0) {
      this.other();
      return 'goes-on';
    }
    const [from, what] = this.#lastWords;
    const isCopy = this.#head[0] === 'copy';
    const readsRows = from === 'from' && what === 'stdin';
    this.#empty = true;
    this.#head = [];
    this.#kind = 'undecided';
    this.#lastWords = [];
    this.#sawBegin = false;
    if (!isCopy) return 'plain';
    return readsRows ? 'rows' : 'unclear';
  }

  /** `create [or replace] function` or `procedure` */
  #decide(word: string): void {
    this.#head.push(word);
    const [first, second, third, fourth] = this.#head;
    const isRoutine = (name: string | undefined): boolean => name === 'function' || name === 'procedure';
    if (first !== 'create') this.#kind = 'other';
    else if (second === undefined) return;
    else if (isRoutine(second)) this.#kind = 'function';
    else if (second !== 'or' || (third !== undefined && third !== 'replace')) this.#kind = 'other';
    else if (fourth !== undefined) this.#kind = isRoutine(fourth) ? 'function' : 'other';
  }

  #count(word: string): void {
    if (word === 'begin') this.#sawBegin = true;
    if (this.#kind !== 'function') return;
    if (word === 'begin') this.#blocks += 1;
    else if (word === 'case' && this.#blocks > 0) this.#blocks += 1;
    else if (word === 'end' && this.#blocks > 0) this.#blocks -= 1;
  }
}
