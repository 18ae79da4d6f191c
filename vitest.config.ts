import { defineConfig } from 'vitest/config';

// Tests run the sources, not dist: every workspace package answers to this export condition.
const conditions = ['@restic-engine/source', 'node', 'import', 'module', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/dist/**', '**/node_modules/**'],
    pool: 'forks',
    execArgv: ['--conditions=@restic-engine/source'],
  },
});
