// `pnpm test`: every check of the project, the quick ones first. Stops at the first that fails; with CI=true all run, so
// that one look at the log shows everything. The last line counts tests and failed checks.
import { startVitest, type Vitest } from 'vitest/node';
import { tool } from './pack.ts';
import { run } from './run.ts';

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const steps: readonly Step[] = [
  { name: 'build', command: [tool('tsc'), '-b'] },
  { name: 'types', command: [tool('tsc'), '-p', 'tsconfig.tests.json'] },
  { name: 'lint', command: [tool('oxlint')] },
  { name: 'format', command: [tool('biome'), 'format', '.'] },
  { name: 'packages', command: [process.execPath, 'scripts/check-packages.ts'] },
  { name: 'peers', command: [process.execPath, 'test/peers/prepare.ts'] },
];

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const MAX_LINES = 30;

const inCi: boolean = process.env['CI'] === 'true';

/** The first lines of what a failed check prints: one mistake in a type can have a thousand consequences. */
function shortened(output: string): string {
  const lines = output.split('\n');
  const rest = lines.length - MAX_LINES;
  return rest > 0 ? [...lines.slice(0, MAX_LINES), `… and ${rest} lines more`].join('\n') : output;
}

async function runSteps(): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, command } of steps) {
    const started = performance.now();
    const { ok, output } = await run(command[0], command.slice(1));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${ok ? '✓' : '✗'} ${name.padEnd(9)} ${seconds.padStart(5)} s`);
    if (name === 'peers' || !ok) console.log(shortened(output.trimEnd()));
    if (ok) continue;
    failed.push(name);
    if (!inCi) break;
  }
  return failed;
}

function countsOf(vitest: Vitest): Counts {
  const counts: Counts = { passed: 0, failed: vitest.state.getUnhandledErrors().length, skipped: 0 };
  for (const module of vitest.state.getTestModules()) {
    // A file that cannot be loaded, or a hook that throws, has no test that could fail for it.
    if (module.state() === 'failed' && module.children.allTests('failed').next().done) counts.failed += 1;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'pending') counts.failed += 1;
      else counts[state] += 1;
    }
  }
  return counts;
}

async function main(filters: readonly string[]): Promise<void> {
  const failedSteps = await runSteps();
  let counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  if (failedSteps.length === 0 || inCi) {
    const vitest = await startVitest('test', [...filters], { watch: false });
    counts = countsOf(vitest);
    await vitest.close();
  }
  if (failedSteps.length > 0) console.log(`failed checks: ${failedSteps.join(', ')}`);
  const failed = counts.failed + failedSteps.length;
  const nothingRan = counts.passed === 0;
  console.log(`${counts.passed} passed, ${failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`);
  process.exitCode = failed > 0 || nothingRan ? 1 : (process.exitCode ?? 0);
}

await main(process.argv.slice(2));
