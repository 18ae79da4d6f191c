/** A few lines at the bottom of a terminal that are drawn over and over. */
import { stripVTControlCharacters } from 'node:util';
import type { WriteStream } from 'node:tty';
import { cutText } from './width.ts';

const CLEAR_LINE = '\u001B[2K\r';
const UP = '\u001B[1A';
/** For terminals that do not know their size. */
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

export class StatusLines {
  readonly #stream: WriteStream;
  #shown = 0;

  constructor(stream: WriteStream) {
    this.#stream = stream;
  }

  show(lines: readonly string[]): void {
    const width = (this.#stream.columns || DEFAULT_COLUMNS) - 1;
    const rows = lines.slice(0, Math.max(1, (this.#stream.rows || DEFAULT_ROWS) - 1)).map((line) => fit(line, width));
    this.#stream.write(`${this.#erase()}${rows.join('\n')}`);
    this.#shown = rows.length;
  }

  clear(): void {
    if (this.#shown === 0) return;
    this.#stream.write(this.#erase());
    this.#shown = 0;
  }

  #erase(): string {
    return CLEAR_LINE + (UP + CLEAR_LINE).repeat(Math.max(0, this.#shown - 1));
  }
}

/** What does not fit would wrap, and be left there; what is no text would move the cursor. */
function fit(line: string, width: number): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return cutText(stripVTControlCharacters(line).replace(/[\u0000-\u001f\u007f-\u009f]/g, '?'), width);
}
