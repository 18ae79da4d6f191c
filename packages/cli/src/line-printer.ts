/** Many lines whose names are bytes that need not be UTF-8. */
import type { Engine } from './open.ts';
import type { Ui } from './ui.ts';

/** Characters gathered before they are written. */
const FLUSH = 1 << 16;

export class LinePrinter {
  readonly #ui: Ui;
  readonly #engine: Engine;
  #text = '';
  #written: Promise<void> = Promise.resolve();

  constructor(ui: Ui, engine: Engine) {
    this.#ui = ui;
    this.#engine = engine;
  }

  /** Resolves when more may be added; {@link flush} at the end brings out all. */
  line(text: string): Promise<void> {
    return this.text(`${text}\n`);
  }

  /** The same without a line end. */
  text(text: string): Promise<void> {
    this.#text += text;
    return this.#text.length < FLUSH ? this.#written : this.flush();
  }

  /** Resolves when everything is written as far as the reader of the output takes it. */
  flush(): Promise<void> {
    const bytes = this.#engine.pathToBytes(this.#text);
    this.#text = '';
    this.#written = this.#written.then(() => this.#ui.bytes(bytes));
    // Whoever does not wait for a line meets the error at the last flush.
    this.#written.catch(() => undefined);
    return this.#written;
  }
}
