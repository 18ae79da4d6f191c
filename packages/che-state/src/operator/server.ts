/** Which server a job means. */
import { EngineError, type RetryOptions } from 'restic-engine';
import type { BackupTarget } from '../resources/backup.ts';
import { chooseConfiguration } from '../server/choose.ts';
import { ensureInternalServer } from '../server/internal.ts';
import { describe } from './failure.ts';
import type { RunningJob } from './job.ts';

/** Resolves to the name of a configuration. `onInternal` is called before the server in the cluster is set up. */
export async function backupServerOf(
  { context, namespace, signal }: RunningJob,
  { backupServerConfigRef, useInternalBackupServer }: BackupTarget,
  onInternal: () => Promise<void>,
): Promise<string> {
  const { cluster, image } = context;
  if (!useInternalBackupServer) {
    const named =
      backupServerConfigRef ?? (await chooseConfiguration(cluster, { namespace, purpose: 'update', signal }));
    if (named !== undefined) return named;
  }
  await onInternal();
  if (image === undefined) {
    throw new EngineError('bad-request', 'the operator was not told which image the internal backup server has');
  }
  return ensureInternalServer(cluster, namespace, { image, signal });
}

/** Failed calls of the server are repeated, and shown. */
export function retryShown(job: RunningJob): RetryOptions {
  return {
    maxElapsedMs: job.context.serverPatienceMs,
    onRetry: ({ error }) => job.troubleSoon(`Error: ${describe(error)}; it is tried again`),
  };
}
