/**
 * Benchmarks: `pnpm bench [macro|micro|memory|servers|startup …] [--full] [--runs N] [--set large|small] [--server NAME]`, the first
 * three by default.
 * docs/benchmarks.md says what is measured and how to read it.
 */
import { parseArgs } from 'node:util';
import type { DataName } from './data.ts';
import { macro } from './macro/run.ts';
import { memory } from './memory/run.ts';
import { micro } from './micro/run.ts';
import { servers } from './servers/run.ts';
import { startup } from './startup/run.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    full: { type: 'boolean', default: false },
    runs: { type: 'string' },
    set: { type: 'string', multiple: true },
    server: { type: 'string', multiple: true, default: [] },
  },
});

function dataName(name: string): DataName {
  if (name === 'large' || name === 'small') return name;
  throw new RangeError(`there is no data set ${name}: large, small`);
}

const form = values.full ? 'full' : 'quick';
const runs = Number(values.runs ?? (values.full ? 5 : 3));
const kinds = {
  micro: () => micro(),
  macro: () => macro({ form, runs, sets: (values.set ?? ['large', 'small']).map(dataName) }),
  memory: () => memory(form),
  servers: () => servers({ runs, set: dataName(values.set?.[0] ?? 'large'), kinds: values.server }),
  startup: () => startup(Number(values.runs ?? 40)),
};

function isKind(name: string): name is keyof typeof kinds {
  return name in kinds;
}

for (const name of positionals.length > 0 ? positionals : ['micro', 'macro', 'memory']) {
  if (!isKind(name)) throw new RangeError(`there is no benchmark ${name}: ${Object.keys(kinds).join(', ')}`);
  await kinds[name]();
}
