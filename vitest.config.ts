import { defineConfig } from 'vitest/config';
import { MissingPeers } from './test/peers/reporter.ts';

// Tests run the sources, not dist: every package of the workspace answers to this export condition. Worker threads and
// child processes started from a test inherit it with `process.execArgv`, and Node strips the types of what they load.
const source = '@restic-engine/source';
// Vitest hands the conditions to Node, which has no `module`: what answers to it is for bundlers only (the AWS SDK's is).
const conditions = [source, 'node', 'import', 'default'];

const tests = (name: string, include: string, seconds: number) => ({
  extends: true as const,
  test: { name, include: [include], testTimeout: seconds * 1000, hookTimeout: seconds * 1000 },
});

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: [tests('unit', 'packages/*/test/**/*.test.ts', 20), tests('whole', 'test/**/*.test.ts', 60)],
    exclude: ['**/dist/**', '**/node_modules/**'],
    pool: 'forks',
    execArgv: [`--conditions=${source}`],
    maxWorkers: 2,
    slowTestThreshold: 5000,
    reporters: ['default', new MissingPeers()],
  },
});
