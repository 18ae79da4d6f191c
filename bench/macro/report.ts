/** The comparison as a table for people and as a chart. */
import type { SetResult } from './compare.ts';
import type { Figure } from './figures.ts';

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);

/** Rows for each operation: medians of both programs and how many times faster ours is. */
export function table(results: readonly SetResult[], cores: number): string {
  const lines: string[] = [];
  for (const { about, files, bytes, figures, storedBytes, primitiveSeconds } of results) {
    lines.push(`${about} (${files.toLocaleString('en-US')} files, ${mib(bytes)} MiB)`, '');
    lines.push('                    restic-engine                     restic                            restic ÷ ours');
    lines.push('operation           time s  cpu s   MiB/s  peak MiB   time s  cpu s   MiB/s  peak MiB   time  cpu');
    for (const [operation, { 'restic-engine': ours, restic }] of Object.entries(figures)) {
      const times = `${(restic.seconds / ours.seconds).toFixed(2)}×  ${(restic.cpuSeconds / ours.cpuSeconds).toFixed(2)}×`;
      lines.push(`${operation.padEnd(18)}${columns(ours, bytes)} ${columns(restic, bytes)}   ${times}`);
    }
    const { 'restic-engine': ours, restic } = storedBytes;
    const share = ((ours / restic) * 100).toFixed(1);
    lines.push(`stored: ${mib(ours)} MiB by restic-engine, ${mib(restic)} MiB by restic (${share} %)`);
    const limit = primitiveSeconds / cores;
    const reached = ((limit / figures['first backup']['restic-engine'].seconds) * 100).toFixed(0);
    lines.push(
      `the primitives alone need ${limit.toFixed(2)} s on ${cores} cores: the first backup reaches ${reached} %`,
      '',
    );
  }
  return lines.join('\n');
}

function columns({ seconds, cpuSeconds, peakRssBytes }: Figure, bytes: number): string {
  const values = [seconds.toFixed(2), cpuSeconds.toFixed(2), mib(bytes / seconds), mib(peakRssBytes)];
  return values.map((value, i) => value.padStart([8, 7, 8, 10][i] ?? 8)).join('');
}

const BAR = 420;
const ROW = 16;
const COLORS = { 'restic-engine': '#2f7d4f', restic: '#9aa5b1' } as const;

/** Bars of wall clock time, the two programs under each other; shorter is better. */
export function chart(results: readonly SetResult[], machine: string): string {
  const parts: string[] = [];
  let y = 44;
  for (const { about, figures } of results) {
    parts.push(text(10, y, about, 'font-weight="bold"'));
    y += ROW;
    const longest = Math.max(
      ...Object.values(figures).flatMap((both) => Object.values(both).map((one) => one.seconds)),
    );
    for (const [operation, both] of Object.entries(figures)) {
      parts.push(text(10, y + ROW, operation, ''));
      for (const [name, { seconds }] of Object.entries(both) as [keyof typeof COLORS, Figure][]) {
        const width = Math.max((seconds / longest) * BAR, 1).toFixed(1);
        parts.push(`<rect x="130" y="${y}" width="${width}" height="${ROW - 3}" fill="${COLORS[name]}"/>`);
        parts.push(text(136 + Number(width), y + ROW - 6, `${seconds.toFixed(2)} s ${name}`, ''));
        y += ROW;
      }
      y += 6;
    }
    y += ROW;
  }
  const title = text(10, 18, `Wall clock time, shorter is better — ${machine}`, 'font-size="12"');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="760" height="${y}" font-family="sans-serif" font-size="11">
<rect width="760" height="${y}" fill="#fff"/>
${[title, ...parts].join('\n')}
</svg>
`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(0)}" y="${y}" ${attributes}>${escaped}</text>`;
}
