import type { Reporter, TestModule } from 'vitest/node';

/** What the skipped test that stands for a suite says, so that the end of the run can name the missing peer. */
export const missingNote = (peer: string): string => `missing peer: ${peer}`;

const NOTE = /^missing peer: (.+)$/;

/** The names of the peers that suites of this run were skipped for, sorted. */
export function missingPeersOf(modules: readonly TestModule[]): string[] {
  const missing = new Set<string>();
  for (const module of modules) {
    for (const test of module.children.allTests('skipped')) {
      const result = test.result();
      const peer = result.state === 'skipped' ? NOTE.exec(result.note ?? '')?.[1] : undefined;
      if (peer !== undefined) missing.add(peer);
    }
  }
  return [...missing].sort();
}

/** Says at the end of a run which real programs were missing, because a skipped test is easily overlooked. */
export class MissingPeers implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const peer of missingPeersOf(modules)) {
      console.log(`skipped: interop with ${peer} — get it with: pnpm peers`);
    }
  }
}
