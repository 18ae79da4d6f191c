/** Counters in Prometheus' text format, under the names that restic's server gives them. */

/** What is counted of a file that was written, read or removed. */
export interface Counted {
  readonly user: string;
  readonly repository: string;
  /** `data`, `index`, `keys`, `locks` or `snapshots`. */
  readonly folder: string;
}

export type Operation = 'write' | 'read' | 'delete';

interface Counter {
  readonly labels: string;
  count: number;
  bytes: number;
}

/** operation → what its two counters count. */
const HELP: Readonly<Record<Operation, readonly [count: string, bytes: string]>> = {
  write: ['Total number of blobs written', 'Total number of bytes written to blobs'],
  read: ['Total number of blobs read', 'Total number of bytes read from blobs'],
  delete: ['Total number of blobs deleted', 'Total number of bytes of blobs deleted'],
};
const OPERATIONS: readonly Operation[] = ['write', 'read', 'delete'];

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export class Metrics {
  readonly #counters: Readonly<Record<Operation, Map<string, Counter>>> = {
    write: new Map(),
    read: new Map(),
    delete: new Map(),
  };

  add(operation: Operation, { user, repository, folder }: Counted, bytes: number): void {
    const labels = `repo="${escape(repository)}",type="${folder}",user="${escape(user)}"`;
    const counters = this.#counters[operation];
    const counter = counters.get(labels) ?? { labels, count: 0, bytes: 0 };
    counter.count += 1;
    counter.bytes += bytes;
    counters.set(labels, counter);
  }

  /** Prometheus' text format, version 0.0.4. */
  render(): string {
    const lines: string[] = [];
    for (const operation of OPERATIONS) {
      const counters = [...this.#counters[operation].values()];
      if (counters.length === 0) continue;
      const [count, bytes] = HELP[operation];
      lines.push(...head(`rest_server_blob_${operation}_total`, count));
      for (const each of counters) lines.push(`rest_server_blob_${operation}_total{${each.labels}} ${each.count}`);
      lines.push(...head(`rest_server_blob_${operation}_bytes_total`, bytes));
      for (const each of counters)
        lines.push(`rest_server_blob_${operation}_bytes_total{${each.labels}} ${each.bytes}`);
    }
    return lines.map((line) => `${line}\n`).join('');
  }
}

function head(name: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} counter`];
}

/** Prometheus' text format: backslash, quote and line feed in a label's value are escaped. */
function escape(value: string): string {
  return value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
}
