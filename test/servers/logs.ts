import { afterEach } from 'vitest';
import { takeLogs } from './daemon.ts';

/** Shows after each failed test of a file what the servers have printed meanwhile. */
export function showLogsOfFailures(): void {
  afterEach(({ task }) => {
    const logs = takeLogs();
    if (task.result?.state === 'fail') console.error(logs);
  });
}
