/** Tables in restic's layout: a header, a rule, rows whose cells may have several lines, a rule. */

export interface Column<Row> {
  /** Blanks at its end keep the column that wide. */
  readonly header: string;
  /** The text of a cell; `\n` separates its lines. */
  cell(row: Row): string;
}

const GAP = '  ';

/** The lines of a table, without blanks at their ends; `spaced`: with an empty line between rows. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], spaced = false): string[] {
  const cells = rows.map((row) => columns.map((column) => column.cell(row).split('\n')));
  const widths = columns.map(({ header }, index) => {
    const texts = cells.flatMap((row) => row[index] ?? []);
    return texts.reduce((width, text) => Math.max(width, displayWidth(text)), displayWidth(header));
  });
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, index) => text + ' '.repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(text))))
      .join(GAP)
      .trimEnd();
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width, 0) + GAP.length * (columns.length - 1));
  const body = cells.flatMap((row, at) => {
    const height = Math.max(...row.map((lines) => lines.length));
    const lines = Array.from({ length: height }, (_, index) => line(row.map((texts) => texts[index] ?? '')));
    return spaced && at > 0 ? ['', ...lines] : lines;
  });
  return [line(columns.map(({ header }) => header)), rule, ...body, rule];
}

const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
const NO_WIDTH = /\p{Mark}|\p{Format}/u;

/** Columns a text takes on a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) {
    if (char >= ' ' && char <= '~') width += 1;
    else if (!NO_WIDTH.test(char)) width += WIDE.test(char) ? 2 : 1;
  }
  return width;
}
