/** What text is written on: a terminal, or anything that keeps it as it is. */
import { styleText } from 'node:util';
import type { WriteStream } from 'node:tty';
import { quoteName } from './quote.ts';

type Format = 'bold' | 'red' | 'green' | 'yellow' | 'cyan';

export interface Screen {
  /** Columns that a line has room for; undefined where there is no end to it. */
  readonly columns: number | undefined;
  /** A name from a repository or a disk, which may have any characters. */
  name(text: string): string;
  /** Colors, where they are wanted. */
  style(format: Format, text: string): string;
}

/** Files and pipes: programs read them, and need names as they are. */
export const PAPER: Screen = { columns: undefined, name: (text) => text, style: (_format, text) => text };

/** NO_COLOR and TERM=dumb take away the colors. */
export function screenOf(stream: WriteStream): Screen {
  if (!stream.isTTY) return PAPER;
  return {
    get columns() {
      return stream.columns || undefined;
    },
    name: quoteName,
    style: (format, text) => styleText(format, text, { stream }),
  };
}
