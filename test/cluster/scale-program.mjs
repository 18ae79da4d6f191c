// Does something with the installation of a cluster and says as JSON how long that took, how much processor time, and the
// most memory. A program of its own, so that nothing else counts.
import {
  backupState,
  collect,
  connectCluster,
  findInstallation,
  openState,
  planRestore,
} from '@restic-engine/che-state';
import { initRepository, localBackend, openRepository } from 'restic-engine';

const [, , kubeconfig, path, what] = process.argv;
const password = 'secret';

await using cluster = await connectCluster({ kubeconfig });

async function withRepository(use) {
  const backend = localBackend(path);
  await initRepository({ backend, password }).catch((error) => {
    if (error.code !== 'already-exists') throw error;
  });
  await using repository = await openRepository({ backend, password });
  return await use(repository);
}

const actions = {
  async collect() {
    let count = 0;
    for await (const _ of collect(cluster, await findInstallation(cluster))) count += 1;
    return count;
  },
  backup: () =>
    withRepository(async (repository) => (await backupState(repository, { cluster, reason: 'manual' })).objects),
  plan: () =>
    withRepository(async (repository) => {
      const state = await openState(repository, 'latest', { anyInstallation: true });
      return (await planRestore({ cluster, state })).objects.length;
    }),
};

const started = performance.now();
const objects = await actions[what]();
const ms = performance.now() - started;
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
console.log(JSON.stringify({ objects, ms, cpuMs: (userCPUTime + systemCPUTime) / 1000, mebibytes: maxRSS / 1024 }));
