import { join } from 'node:path';
import process from 'node:process';
import { defineConfig } from 'vitest/config';
import { MissingPeers } from './test/peers/reporter.ts';
import { LongFirst } from './test/support/long-first.ts';

// Tests run the sources, not dist: every package of the workspace answers to this export condition. Worker threads and
// child processes started from a test inherit it with `process.execArgv`, and Node strips the types of what they load.
const source = '@restic-engine/source';
// Vitest hands the conditions to Node, which has no `module`: what answers to it is for bundlers only (the AWS SDK's is).
const conditions = [source, 'node', 'import', 'default'];

/**
 * Node strips types with a WebAssembly module, and V8 compiles the calls into its imports once for all threads. V8's
 * collection of such code drops the last reference before it takes the lock under which other threads find the code: a
 * thread that begins to use it then dies of SIGSEGV or SIGTRAP, as did every twentieth run of the tests of pools on a busy
 * machine (Node 24; the same piece of V8 fails in nodejs/node#64500). Threads that run `dist` strip nothing, and our own
 * kernels import nothing, so only processes in which many threads load sources need this.
 */
const KEEP_WASM_CODE = '--no-wasm-code-gc';

/**
 * Tests start some thousand programs and threads that load sources. Stripping types and compiling takes longer than what
 * most of them do, so Node keeps the results, for the tests and for all that is started in their environment.
 */
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/compiled');

const tests = (name: string, include: string, seconds: number) => ({
  extends: true as const,
  test: { name, include: [include], testTimeout: seconds * 1000, hookTimeout: seconds * 1000 },
});

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: [tests('unit', 'packages/*/test/**/*.test.ts', 40), tests('whole', 'test/**/*.test.ts', 60)],
    exclude: ['**/dist/**', '**/node_modules/**'],
    pool: 'forks',
    execArgv: [`--conditions=${source}`, KEEP_WASM_CODE],
    // Twice as many as CI has cores: half of the time tests wait, for locks to settle, for servers and for fsync.
    maxWorkers: 4,
    sequence: { sequencer: LongFirst },
    slowTestThreshold: 5000,
    reporters: ['default', new MissingPeers()],
  },
});
