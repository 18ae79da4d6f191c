/** What tests of restoring need again and again. */
import {
  backupState,
  type Cluster,
  connectCluster,
  openState,
  planRestore,
  type PlanRestoreOptions,
  restoreState,
  type RestoreResult,
  type RestoreStateOptions,
} from '@restic-engine/che-state';
import { initRepository, memoryBackend, openRepository, type Backend, type Repository } from 'restic-engine';
import type { Api } from './api.ts';
import { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts';
import { destroy, install, type TestInstallation } from './installation.ts';
import { startPlayers } from './players.ts';

export const PASSWORD = 'geheim';
/** A dead one is not waited for any longer. */
export const TAKE_OVER_AFTER_MS = 60;

export interface Place extends AsyncDisposable {
  readonly server: ApiServer;
  readonly api: Api;
  readonly cluster: Cluster;
}

/** An API server with everything that plays in it. */
export async function startPlace(options: ApiServerOptions = {}): Promise<Place> {
  const server = await startApiServer(options);
  const players = startPlayers(server.api, { readyAfterMs: 10, finalizeAfterMs: 20 });
  const cluster = await connectCluster({ kubeconfig: server.kubeconfig });
  return {
    server,
    api: server.api,
    cluster,
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await players[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export interface BackedUp {
  readonly repository: Repository;
  readonly backend: Backend;
  readonly snapshotId: string;
}

/** Runs `use` with an installation, prepared or as it comes, of which there is a backup, and takes everything away again. */
export async function withBackup(
  { api, cluster }: Place,
  che: TestInstallation,
  use: (backedUp: BackedUp) => Promise<void>,
  prepare: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  await install(api, che);
  try {
    await prepare();
    const backend = memoryBackend();
    await initRepository({ backend, password: PASSWORD });
    const repository = await openRepository({ backend, password: PASSWORD, workers: 0 });
    try {
      const { snapshotId } = await backupState(repository, { cluster, namespace: che.namespace, reason: 'manual' });
      await use({ repository, backend, snapshotId });
    } finally {
      await repository[Symbol.asyncDispose]();
    }
  } finally {
    await destroy(api, che);
  }
}

type Options = Omit<PlanRestoreOptions, 'cluster' | 'state' | 'onProgress'> &
  Omit<RestoreStateOptions, 'cluster' | 'repository' | 'plan'>;

/** Plans and restores, as the command does. */
export async function restoreAll(
  cluster: Cluster,
  { repository, snapshotId }: Pick<BackedUp, 'repository' | 'snapshotId'>,
  options: Options = {},
): Promise<RestoreResult> {
  const { onProgress: _onProgress, ...planOptions } = options;
  const state = await openState(repository, snapshotId);
  const plan = await planRestore({ cluster, state, ...planOptions });
  return restoreState({ cluster, repository, plan, takeOverAfterMs: TAKE_OVER_AFTER_MS, ...options });
}
