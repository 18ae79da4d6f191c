/**
 * Where psql would see commands of its own in a script: `\!` runs programs, and a dump has no use for any of them. Follows
 * psql's lexical rules (PostgreSQL's manual, "Lexical Structure" and "psql"). Constructs that pg_dump does not write and
 * on whose meaning versions disagree are refused.
 */
import { Buffer } from 'node:buffer';
import { EngineError } from 'restic-engine';
import { StatementTracker } from './statement.ts';

const NUL = 0;
const TAB = 9;
const NEWLINE = 10;
const FORM_FEED = 12;
const RETURN = 13;
const SPACE = 32;
const DOUBLE_QUOTE = 34;
const DOLLAR = 36;
const AMPERSAND = 38;
const QUOTE = 39;
const OPEN = 40;
const CLOSE = 41;
const STAR = 42;
const PLUS = 43;
const DASH = 45;
const SLASH = 47;
const SEMICOLON = 59;
const BACKSLASH = 92;

type State = 'sql' | 'comment' | 'block' | 'quote' | 'escape' | 'name' | 'dollar' | 'command' | 'after-copy' | 'rows';

const COMPLETE = ' PostgreSQL database dump complete';
/** The only commands that a dump has, from PostgreSQL 13.22, 14.19, 15.14, 16.10 and 17.6 on. */
const RESTRICT = /^\\(?:un)?restrict [\dA-Za-z]{1,256}\r?$/;
const MAX_COMMAND = 300;

/** Reads a dump in pieces of any size. */
export class ScriptLexer {
  readonly #statement = new StatementTracker();
  #state: State = 'sql';
  /** Of the line that is read, from 1. */
  #line = 1;
  /** The byte before this one; 0 at the beginning, and after what was read as a whole. */
  #previous = 0;
  #depth = 0;
  /** Of a dollar quote that is being opened or is open, with its dollars. */
  #tag = '';
  #tagAt = 0;
  /** An E'' constant has ended, which another constant would continue. */
  #afterEscape = false;
  /** Of a comment, a command, or a row: its beginning. */
  #text = '';
  #complete = false;

  /** The dump's last words have been read, and nothing came after them. */
  get complete(): boolean {
    const isOpen = this.#previous === DASH || this.#previous === SLASH;
    return this.#complete && this.#state === 'sql' && this.#statement.isEmpty && !isOpen;
  }

  /** The parts of `chunk` that are for psql. Throws `database` for what psql must not see. */
  push(chunk: Uint8Array): Uint8Array[] {
    if (chunk.includes(NUL)) throw this.#refuse('a NUL');
    const parts: Uint8Array[] = [];
    let from = 0;
    let at = 0;
    while (at < chunk.length) {
      const wasCommand = this.#state === 'command';
      const next = this.#step(chunk, at);
      if (!wasCommand && this.#state === 'command') parts.push(chunk.subarray(from, next - 1));
      // The line break stays, so that the lines are those of the dump.
      if (wasCommand) from = this.#state === 'command' ? next : next - 1;
      at = next;
    }
    if (this.#state !== 'command') parts.push(chunk.subarray(from));
    return parts.filter((part) => part.length > 0);
  }

  /** Reads on from `at`; returns how far. */
  #step(chunk: Uint8Array, at: number): number {
    switch (this.#state) {
      case 'sql':
        return this.#sql(chunk, at);
      case 'quote':
        return this.#until(chunk, at, QUOTE);
      case 'name':
        return this.#until(chunk, at, DOUBLE_QUOTE);
      case 'rows':
        return this.#rows(chunk, at);
      case 'dollar':
        return this.#dollar(chunk, at);
      default:
        this.#byte(chunk[at] ?? NUL);
        return at + 1;
    }
  }

  #byte(byte: number): void {
    if (byte === NEWLINE) this.#line += 1;
    if (this.#state === 'comment') this.#comment(byte);
    else if (this.#state === 'block') this.#block(byte);
    else if (this.#state === 'escape') this.#escape(byte);
    else if (this.#state === 'command') this.#command(byte);
    else this.#afterCopy(byte);
  }

  #sql(chunk: Uint8Array, start: number): number {
    for (let at = start; at < chunk.length; at++) {
      const byte = chunk[at] ?? NUL;
      const previous = this.#previous;
      this.#previous = byte;
      if (isWordByte(byte)) this.#word(byte, previous);
      else {
        if (byte === NEWLINE) this.#line += 1;
        this.#mark(byte, previous);
        if (this.#state !== 'sql') return at + 1;
      }
    }
    return chunk.length;
  }

  #word(byte: number, previous: number): void {
    this.#operator(previous);
    this.#complete = false;
    this.#afterEscape = false;
    this.#statement.wordByte(byte);
  }

  /** The byte before, which might have begun a comment, has not. */
  #operator(previous: number): void {
    if (previous === DASH || previous === SLASH) this.#other();
  }

  #other(): void {
    this.#complete = false;
    this.#afterEscape = false;
    this.#statement.other();
  }

  /** A byte of SQL that is not part of a word. */
  #mark(byte: number, previous: number): void {
    if (this.#beginsComment(byte, previous)) return undefined;
    this.#operator(previous);
    if ((byte === DASH || byte === PLUS) && this.#statement.wantsExponent) return this.#sign(byte);
    if (byte === QUOTE) return this.#openQuote(previous);
    if (byte === DOLLAR && this.#statement.word !== '') return this.#dollarInWord();
    if (!this.#statement.endWord()) throw this.#refuse('a number that ends in letters');
    // Of the next byte it depends whether these begin a comment.
    if (isSpace(byte) || byte === DASH || byte === SLASH) return undefined;
    if (byte === BACKSLASH) return this.#openCommand(previous);
    if (byte === SEMICOLON) return this.#endStatement();
    return this.#symbol(byte, previous);
  }

  #symbol(byte: number, previous: number): void {
    if (byte === OPEN) this.#statement.open();
    else if (byte === CLOSE) this.#statement.close();
    this.#other();
    if (byte === DOUBLE_QUOTE) this.#openName(previous);
    else if (byte === DOLLAR) this.#openDollar();
  }

  #enter(state: State): void {
    this.#state = state;
    this.#text = '';
    this.#previous = 0;
  }

  #beginsComment(byte: number, previous: number): boolean {
    if (byte === DASH && previous === DASH) this.#enter('comment');
    else if (byte === STAR && previous === SLASH) {
      this.#enter('block');
      this.#depth = 1;
    } else return false;
    return true;
  }

  /** Of the exponent of a number: it begins no comment. */
  #sign(byte: number): void {
    this.#statement.wordByte(byte);
    this.#previous = 0;
  }

  #dollarInWord(): void {
    if (this.#statement.isNumber) throw this.#refuse('a dollar sign after a number');
    this.#statement.wordByte(DOLLAR);
  }

  #openName(previous: number): void {
    if (previous === AMPERSAND) throw this.#refuse('a name of a kind that dumps do not have');
    this.#enter('name');
  }

  #openQuote(previous: number): void {
    if (this.#afterEscape && previous === QUOTE) return this.#enter('escape');
    if (this.#afterEscape || this.#statement.isNumber || previous === AMPERSAND) {
      throw this.#refuse('a constant of a kind that dumps do not have');
    }
    const isEscape = this.#statement.word === 'e';
    this.#other();
    this.#enter(isEscape ? 'escape' : 'quote');
    return undefined;
  }

  #openCommand(previous: number): void {
    if (!this.#statement.isEmpty || (previous !== NEWLINE && previous !== 0)) throw this.#refuse('a command for psql');
    this.#state = 'command';
    this.#text = '\\';
  }

  #openDollar(): void {
    this.#enter('dollar');
    this.#tag = '$';
    this.#tagAt = -1;
  }

  #endStatement(): void {
    this.#complete = false;
    this.#afterEscape = false;
    const end = this.#statement.end();
    if (end === 'rows') this.#enter('after-copy');
    else if (end === 'unclear') throw this.#refuse('a statement of a kind that dumps do not have');
  }

  /** To the end of a quoted text: two quotes in a row end it and begin it again. */
  #until(chunk: Uint8Array, at: number, end: number): number {
    const found = chunk.indexOf(end, at);
    const to = found < 0 ? chunk.length : found + 1;
    this.#countLines(chunk, at, to);
    if (found >= 0) {
      this.#state = 'sql';
      this.#previous = end;
    }
    return to;
  }

  #countLines(chunk: Uint8Array, from: number, to: number): void {
    for (let at = chunk.indexOf(NEWLINE, from); at >= 0 && at < to; at = chunk.indexOf(NEWLINE, at + 1))
      this.#line += 1;
  }

  #comment(byte: number): void {
    if (byte !== NEWLINE && byte !== RETURN) {
      if (this.#text.length <= COMPLETE.length) this.#text += String.fromCharCode(byte);
      return;
    }
    if (this.#text === COMPLETE) this.#complete = true;
    this.#state = 'sql';
    this.#previous = byte;
  }

  #block(byte: number): void {
    const previous = this.#previous;
    this.#previous = byte;
    if (byte === STAR && previous === SLASH) this.#depth += 1;
    else if (byte === SLASH && previous === STAR) this.#depth -= 1;
    else return;
    this.#previous = 0;
    if (this.#depth > 0) return;
    this.#state = 'sql';
    this.#previous = SPACE;
  }

  /** `\` takes the meaning of the next byte; '' is a quote. */
  #escape(byte: number): void {
    if (this.#text === '\\') this.#text = '';
    else if (byte === BACKSLASH) this.#text = '\\';
    else if (byte === QUOTE) {
      this.#state = 'sql';
      this.#afterEscape = true;
      this.#previous = QUOTE;
    }
  }

  #command(byte: number): void {
    if (byte !== NEWLINE) {
      this.#text += String.fromCharCode(byte);
      if (this.#text.length > MAX_COMMAND) throw this.#refuse('a command for psql');
      return;
    }
    if (!RESTRICT.test(this.#text)) throw this.#refuse('a command for psql', this.#line - 1);
    this.#state = 'sql';
    this.#previous = NEWLINE;
  }

  #afterCopy(byte: number): void {
    if (byte === NEWLINE) {
      this.#state = 'rows';
      this.#text = '';
    } else if (!isSpace(byte)) throw this.#refuse('something after a COPY on its line');
  }

  /** To the line that ends them; rows may be of any length. */
  #rows(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length) {
      const end = chunk.indexOf(NEWLINE, at);
      const to = end < 0 ? chunk.length : end;
      if (this.#text.length < 4) this.#text += Buffer.from(chunk.subarray(at, Math.min(to, at + 4))).toString('latin1');
      if (end < 0) return chunk.length;
      at = end + 1;
      this.#line += 1;
      const isEnd = this.#text === '\\.' || this.#text === '\\.\r';
      this.#text = '';
      if (!isEnd) continue;
      this.#state = 'sql';
      this.#previous = NEWLINE;
      return at;
    }
    return at;
  }

  /** Opens a dollar quote, or finds its end. */
  #dollar(chunk: Uint8Array, start: number): number {
    for (let at = start; at < chunk.length; at++) {
      const byte = chunk[at] ?? NUL;
      if (this.#tagAt < 0) {
        if (this.#opens(byte)) continue;
        return at;
      }
      if (byte === NEWLINE) this.#line += 1;
      if (byte === this.#tag.charCodeAt(this.#tagAt)) this.#tagAt += 1;
      else this.#tagAt = byte === DOLLAR ? 1 : 0;
      if (this.#tagAt === this.#tag.length) {
        this.#state = 'sql';
        this.#previous = DOLLAR;
        return at + 1;
      }
    }
    return chunk.length;
  }

  /** false where the dollar sign begins no quote: it was one of a parameter, such as $1. */
  #opens(byte: number): boolean {
    if (byte === DOLLAR) {
      this.#tag += '$';
      this.#tagAt = 0;
      return true;
    }
    const isDigit = byte >= 48 && byte <= 57;
    if (isWordByte(byte) && !(isDigit && this.#tag === '$')) {
      this.#tag += String.fromCharCode(byte);
      if (this.#tag.length > MAX_COMMAND) throw this.#refuse('a dollar quote without an end');
      return true;
    }
    if (!isDigit) throw this.#refuse('a dollar sign that quotes nothing');
    this.#state = 'sql';
    return false;
  }

  #refuse(what: string, line: number = this.#line): EngineError {
    const message = `the dump is refused: at line ${line} there is ${what}`;
    return new EngineError('database', message, { line });
  }
}

function isWordByte(byte: number): boolean {
  return (
    (byte >= 97 && byte <= 122) ||
    (byte >= 65 && byte <= 90) ||
    byte === 95 ||
    byte >= 128 ||
    (byte >= 48 && byte <= 57)
  );
}

/** As psql has it; a vertical tab is none in older versions. */
function isSpace(byte: number): boolean {
  return byte === SPACE || byte === NEWLINE || byte === TAB || byte === RETURN || byte === FORM_FEED;
}
