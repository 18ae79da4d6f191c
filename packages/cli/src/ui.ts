/** Where a command writes: results on standard output, complaints on standard error, a status line on terminals. */
import { once } from 'node:events';
import process from 'node:process';
import { withoutControls } from './render/quote.ts';
import { screenOf } from './render/screen.ts';
import type { Screen } from './render/screen.ts';
import { StatusLines } from './render/status-lines.ts';
import { renderTable } from './render/table.ts';
import type { Column } from './render/table.ts';

/** 0 with --quiet, 1 by default, 2 with -v, 3 with -vv. */
export type Verbosity = 0 | 1 | 2 | 3;

export interface UiOptions {
  readonly json: boolean;
  readonly verbosity: Verbosity;
  /** Frames per second, from RESTIC_PROGRESS_FPS. */
  readonly fps?: number | undefined;
}

const DEFAULT_INTERVAL_MS = 100;

export class Ui {
  readonly json: boolean;
  readonly verbosity: Verbosity;
  /** How often to tell of progress, in ms; undefined: never. */
  readonly intervalMs: number | undefined;
  /** Is a person watching? */
  readonly terminal: boolean;
  /** Standard output, for whoever makes text for it. */
  readonly screen: Screen = screenOf(process.stdout);
  readonly #errors: Screen = screenOf(process.stderr);
  readonly #status: StatusLines | undefined;

  constructor({ json, verbosity, fps }: UiOptions) {
    this.json = json;
    this.verbosity = verbosity;
    this.terminal = process.stdout.isTTY && !json;
    // Lines can be replaced only where the cursor can be moved.
    const moves = this.terminal && process.env['TERM'] !== 'dumb';
    const wanted = verbosity > 0 && (moves || json || fps !== undefined);
    this.intervalMs = wanted ? (fps === undefined ? DEFAULT_INTERVAL_MS : 1000 / fps) : undefined;
    this.#status = moves ? new StatusLines(process.stdout) : undefined;
  }

  /** A result that is always wanted. */
  line(text: string): void {
    this.print([process.stdout.isTTY ? withoutControls(text) : text]);
  }

  /** Lines that were made for the screen. */
  print(lines: readonly string[]): void {
    this.#status?.clear();
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  }

  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void {
    this.print(renderTable(columns, rows, { screen: this.screen }));
  }

  /** Bytes as they are. Resolves when more may be written. */
  async bytes(bytes: Uint8Array): Promise<void> {
    this.#status?.clear();
    if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
  }

  /** Text for people, from `level` on; nothing with --json. */
  say(text: string, level: Verbosity = 1): void {
    if (!this.json && this.verbosity >= level) this.line(text);
  }

  /** A line that people and, where restic has no JSON, scripts read; nothing with --quiet. */
  result(text: string): void {
    if (this.verbosity > 0) this.line(text);
  }

  /** Something went wrong, or might. */
  warn(text: string): void {
    this.#complain(this.#errors.style('yellow', this.#safe(text)));
  }

  /** To standard error, without a color. */
  errorLine(text: string): void {
    this.#complain(this.#safe(text));
  }

  #safe(text: string): string {
    return process.stderr.isTTY ? withoutControls(text) : text;
  }

  #complain(text: string): void {
    this.#status?.clear();
    process.stderr.write(`${text}\n`);
  }

  /** Lines at the bottom of a terminal that are replaced by the next call; plain lines where there is no terminal. */
  status(lines: readonly string[]): void {
    if (this.#status !== undefined) this.#status.show(lines);
    else if (lines[0] !== undefined) process.stdout.write(`${lines[0]}\n`);
  }

  clearStatus(): void {
    this.#status?.clear();
  }
}
