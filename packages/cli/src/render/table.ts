/** Tables in restic's layout: a header, a rule, rows whose cells may have several lines, a rule. */
import { PAPER } from './screen.ts';
import type { Screen } from './screen.ts';
import { displayWidth, wrapText } from './width.ts';

export interface Column<Row> {
  /** Blanks at its end keep the column that wide, where there is room. */
  readonly header: string;
  /** Where there is little room, its lines are wrapped. */
  readonly wraps?: boolean;
  /** The text of a cell; `\n` separates its lines. */
  cell(row: Row): string;
}

export interface TableLook {
  /** An empty line between rows. */
  readonly spaced?: boolean;
  /** @default PAPER */
  readonly screen?: Screen;
}

const GAP = '  ';
/** A column that is wrapped stays this wide. */
const LEAST = 8;

/** The lines of a table, without blanks at their ends. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { spaced = false, screen = PAPER }: TableLook = {},
): string[] {
  const texts = rows.map((row) => columns.map((column) => column.cell(row).split('\n')));
  const wanted = columns.map(({ header }, index) => widthOf([header, ...texts.flatMap((row) => row[index] ?? [])]));
  const widths = fit(columns, wanted, screen.columns);
  const cells = texts.map((row) =>
    row.map((lines, index) => lines.flatMap((line) => wrapText(line, widths[index] ?? 0))),
  );
  const line = (parts: readonly string[]): string =>
    parts
      .map((text, index) => text + ' '.repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(text))))
      .join(GAP)
      .trimEnd();
  const rule = '-'.repeat(totalOf(widths));
  const body = cells.flatMap((row, at) => {
    const height = Math.max(...row.map((lines) => lines.length));
    const lines = Array.from({ length: height }, (_, index) => line(row.map((parts) => parts[index] ?? '')));
    return spaced && at > 0 ? ['', ...lines] : lines;
  });
  const header = line(columns.map((column, index) => column.header.slice(0, widths[index])));
  return [screen.style('bold', header), rule, ...body, rule];
}

function widthOf(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, displayWidth(text)), 0);
}

function totalOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
}

/** Takes from the widest of those that can be wrapped until all fit, or nothing is left to take. */
function fit<Row>(columns: readonly Column<Row>[], wanted: readonly number[], room = Infinity): number[] {
  const widths = [...wanted];
  const least = columns.map(({ header, wraps = false }, index) =>
    wraps ? Math.max(LEAST, header.trimEnd().length) : (wanted[index] ?? 0),
  );
  for (let excess = totalOf(widths) - room; excess > 0; excess--) {
    const slack = widths.map((width, index) => (width > (least[index] ?? 0) ? width : 0));
    const widest = Math.max(...slack);
    if (widest === 0) break;
    widths[slack.indexOf(widest)] = widest - 1;
  }
  return widths;
}
