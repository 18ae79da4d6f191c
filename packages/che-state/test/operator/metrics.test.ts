import { expect, it } from 'vitest';
import { renderMetrics, Tally } from '../../src/operator/metrics.ts';

it('writes the text format of Prometheus', () => {
  const tally = new Tally();
  tally.add({ kind: 'A', what: 'quo"te\\\n' });
  tally.add({ kind: 'A', what: 'quo"te\\\n' }, 2);
  tally.add({ kind: 'B', what: '' }, 0.5);
  const text = renderMetrics([
    { name: 'things_total', type: 'counter', help: 'Things.', samples: tally.samples() },
    { name: 'leader', type: 'gauge', help: 'One.', samples: [{ labels: {}, value: 1 }] },
  ]);
  expect(text).toBe(String.raw`# HELP che_backup_operator_things_total Things.
# TYPE che_backup_operator_things_total counter
che_backup_operator_things_total{kind="A",what="quo\"te\\\n"} 3
che_backup_operator_things_total{kind="B",what=""} 0.5
# HELP che_backup_operator_leader One.
# TYPE che_backup_operator_leader gauge
che_backup_operator_leader 1
`);
});
