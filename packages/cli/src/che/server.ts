/** From what flags, environment and cluster say to a backup server that can be opened. */
import { lookup } from 'node:dns/promises';
import type { BackupServer, Cluster, UrlCredentials } from '@restic-engine/che-state';
import type { Repository } from 'restic-engine';
import { Fatal } from '../failure.ts';
import type { Environment } from '../globals.ts';
import { resolvePassword } from '../password.ts';
import { readTextFile } from '../values/text-file.ts';
import { programVersion } from '../version.ts';
import { findNamespace, withCluster } from './cluster.ts';
import type { CheState } from './cluster.ts';
import type { CheContext } from './context.ts';
import { chooseServer } from './server-choice.ts';
import type { ServerChoice } from './server-choice.ts';
import type { ServerFlags } from './server-flags.ts';

type UrlChoice = Extract<ServerChoice, { by: 'url' }>;

/** The choice of flags and environment; flags without effect are told of. */
export function serverChoice({ env, ui }: CheContext, flags: ServerFlags): ServerChoice {
  return chooseServer(flags, env, (text) => ui.warn(`Warning: ${text}`));
}

/** The password and the key, from where they are. */
async function urlCredentials(
  { password, access }: UrlChoice,
  { signal }: Pick<CheContext, 'signal'>,
): Promise<UrlCredentials> {
  const { sshKeyFile, ...others } = access;
  const secret = await resolvePassword(password, { signal, emptyFlag: '' });
  return {
    ...others,
    password: textOf(secret ?? ''),
    ...(sshKeyFile !== undefined && { sshKey: textOf(await readTextFile(sshKeyFile)) }),
  };
}

function textOf(value: string | Uint8Array): string {
  return typeof value === 'string' ? value : Buffer.from(value).toString();
}

/**
 * The name of a configuration in the cluster, into which flags are written; undefined stands for the internal server,
 * which there may not be yet.
 */
export async function serverReference(
  context: CheContext,
  place: Place,
  choice: ServerChoice,
  purpose: 'backup-command' | 'restore-command',
): Promise<string | undefined> {
  if (choice.by !== 'url') return configurationName(context, place, choice, purpose);
  const { cluster, che, namespace } = place;
  const credentials = await urlCredentials(choice, context);
  return che.storeConfiguration(cluster, { namespace, url: choice.url, credentials, signal: context.signal });
}

async function configurationName(
  { signal }: CheContext,
  { cluster, che, namespace }: Place,
  choice: Exclude<ServerChoice, UrlChoice>,
  purpose: 'backup-command' | 'restore-command',
): Promise<string | undefined> {
  switch (choice.by) {
    case 'configuration':
      return choice.name;
    case 'internal':
      return purpose === 'backup-command' ? undefined : che.INTERNAL.configuration;
    case 'cluster':
      return che.chooseConfiguration(cluster, { namespace, purpose, signal });
  }
}

/** Che's place in a cluster. */
export interface Place {
  readonly cluster: Cluster;
  readonly che: CheState;
  readonly namespace: string;
}

/** The server to read backups from. */
export async function serverToRead(context: CheContext, place: Place, choice: ServerChoice): Promise<BackupServer> {
  const { che, cluster, namespace } = place;
  if (choice.by === 'url') return che.serverFromUrl(choice.url, await urlCredentials(choice, context));
  const name = (await configurationName(context, place, choice, 'restore-command')) ?? che.INTERNAL.configuration;
  return che.serverFromConfiguration(cluster, name, { namespace, signal: context.signal });
}

/** The server to back up to; sets up the internal one where that is meant. */
export async function serverForBackup(
  context: CheContext,
  place: Place,
  choice: ServerChoice,
  flavor: string,
): Promise<BackupServer> {
  const { env, signal, ui } = context;
  const { che, cluster, namespace } = place;
  if (choice.by === 'url') return che.serverFromUrl(choice.url, await urlCredentials(choice, context));
  const name = await configurationName(context, place, choice, 'backup-command');
  if (name !== undefined) return che.serverFromConfiguration(cluster, name, { namespace, signal });
  await refuseUnreachable(`${che.INTERNAL.service}.${namespace}.svc`, env);
  ui.say('setting up the backup server in the cluster');
  const internal = await che.ensureInternalServer(cluster, namespace, { image: serverImage(env), flavor, signal });
  return che.serverFromConfiguration(cluster, internal, { namespace, signal });
}

/** What the internal server runs: this program's image. */
export function serverImage(env: Environment): string {
  return env['CHE_BACKUP_IMAGE'] || `quay.io/eclipse/che-backup:${programVersion()}`;
}

/** Opens the repository of a server for some work, and says which one it is when that goes wrong. */
export async function withRepositoryOf<T>(
  context: CheContext,
  che: CheState,
  server: BackupServer,
  { create = false, use }: { readonly create?: boolean; use(repository: Repository): Promise<T> },
): Promise<T> {
  const { env, signal, ui } = context;
  context.location = server.location;
  const inside = INSIDE.exec(server.location)?.[1];
  if (inside !== undefined) await refuseUnreachable(inside, env);
  return che.withServerRepository(
    server,
    {
      create,
      signal,
      retry: {
        onRetry: ({ operation, delayMs, error }) => {
          const seconds = (delayMs / 1000).toFixed(1);
          if (ui.verbosity > 0) ui.warn(`${operation} returned error, retrying after ${seconds}s: ${error.message}`);
        },
      },
    },
    use,
  );
}

/** Opens the repository that is meant, to look at it; for one that a URL names no cluster is needed. */
export async function withRepositoryToRead<T>(
  context: CheContext,
  flags: ServerFlags,
  use: (repository: Repository, che: CheState) => Promise<T>,
): Promise<T> {
  const choice = serverChoice(context, flags);
  if (choice.by === 'url') {
    const che = await import('@restic-engine/che-state');
    const server = che.serverFromUrl(choice.url, await urlCredentials(choice, context));
    return withRepositoryOf(context, che, server, { use: (repository) => use(repository, che) });
  }
  return withCluster(context, async (cluster, che) => {
    const namespace = await findNamespace(context, cluster, che);
    const server = await serverToRead(context, { cluster, che, namespace }, choice);
    return withRepositoryOf(context, che, server, { use: (repository) => use(repository, che) });
  });
}

/** Names of Services mean something inside of the cluster only. */
const INSIDE = /^rest:https?:\/\/(?:[^/@]*@)?([^/:]+\.svc(?:\.cluster\.local)?)(?::|\/|$)/;

async function refuseUnreachable(host: string, env: Environment): Promise<void> {
  // In a pod, one that is new gets its name a moment later.
  if (env['KUBERNETES_SERVICE_HOST']) return;
  try {
    await lookup(host);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    throw new Fatal(
      `the backup server ${host} can be reached only from inside of the cluster: let the operator do it with --via-operator, or run this in a pod`,
    );
  }
}
