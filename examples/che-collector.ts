/**
 * Collects an installation of Eclipse Che from the cluster of the current kubeconfig into a repository, with rights to read
 * only and without temporary files. What has not changed since the last run is not stored again.
 *
 *     RESTIC_PASSWORD=… node che-collector.ts /srv/backups/che
 */
import { collect, connectCluster, findInstallation } from '@restic-engine/che-state';
import { backup, EngineError, initRepository, localBackend, objects, openRepository } from 'restic-engine';

const store = {
  backend: localBackend(process.argv[2] ?? 'che-backup'),
  password: process.env['RESTIC_PASSWORD'] ?? '',
};
await initRepository(store).catch((error: unknown) => {
  if (!EngineError.is(error, 'already-exists')) throw error;
});
const repository = await openRepository(store);
const cluster = await connectCluster();
const installation = await findInstallation(cluster);

async function* entries() {
  for await (const { path, yaml } of collect(cluster, installation)) yield { path, content: yaml };
}

const { snapshotId, summary } = await backup(repository, {
  source: objects(entries()),
  hostname: installation.namespace,
});
console.log(`${summary.totalFilesProcessed} objects, ${summary.dataAdded} bytes new, in snapshot ${snapshotId}`);
await Promise.all([repository[Symbol.asyncDispose](), cluster[Symbol.asyncDispose]()]);
