/** A cluster with an installation in it, a backup server, and che-backup at both. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiVersionOf, type Kind, type KubeObject } from '@restic-engine/che-state';
import { initRepository, localBackend } from 'restic-engine';
import { startOurs, type Ours } from '../../servers/ours.ts';
import { at, KIND } from '../crds/kinds.ts';
import type { Api } from './api.ts';
import { canary } from './canary.ts';
import { startCheBackup, type CheBackup, type CheRun } from './che-backup.ts';
import { destroy, install, installationV2, until, type TestInstallation } from './installation.ts';
import { startPlace, type Place } from './restoring.ts';

export const CHE = 'eclipse-che';
export const PASSWORD = canary('repository');
const CRDS = join(import.meta.dirname, '../../../deploy/crds');
/** Any legal cost will do. */
const CHEAP = { N: 128, r: 1, p: 1 };

/** For what starts many programs, on a busy machine. */
export const PATIENCE_MS = 180_000;

export type Env = Readonly<Record<string, string>>;

export interface Commands extends AsyncDisposable {
  readonly place: Place;
  readonly api: Api;
  readonly backups: Ours;
  readonly program: CheBackup;
  readonly che: TestInstallation;
  /** The environment that names a repository which is not there yet. */
  environment(name: string): Promise<Env>;
  /** The environment that names a repository, which is new and cheap to open. */
  repository(name: string): Promise<Env>;
  /** Runs a command, which must succeed. */
  ok(words: readonly string[], env: Env): Promise<CheRun>;
  /** Backs up; resolves with the id. */
  backUp(env: Env): Promise<string>;
}

export async function startCommands(): Promise<Commands> {
  const [place, backups] = await Promise.all([startPlace(), startOurs()]);
  const { api } = place;
  const program = startCheBackup(place.server.kubeconfig);
  const che = installationV2({ users: 2, devWorkspaces: 3 });
  const { stderr } = await place.server.kubectl(['apply', '--filename', CRDS]);
  if (stderr !== '') throw new Error(stderr);
  await until('the kinds are served', async () => {
    const kinds = [KIND.serverConfiguration, KIND.clusterBackup, KIND.clusterRestore];
    const paths = kinds.map((kind) => `/apis/${kind.group}/${kind.version}/${kind.plural}`);
    const answers = await Promise.allSettled(paths.map((path) => api.call('GET', path)));
    return answers.every((each) => each.status === 'fulfilled');
  });
  await install(api, che);
  const environment: Commands['environment'] = async (name) => ({
    BACKUP_REPOSITORY_URL: (await backups.place(name)).location,
    BACKUP_REPOSITORY_PASSWORD: PASSWORD,
  });
  const ok: Commands['ok'] = async (words, env) => {
    const run = await program.run(words, env);
    if (run.status !== 0) throw new Error(`che-backup ${words.join(' ')}: exit ${run.status}\n${run.stderr}`);
    return run;
  };
  return {
    place,
    api,
    backups,
    program,
    che,
    environment,
    ok,
    async repository(name) {
      const backend = localBackend(join(backups.data, name));
      await initRepository({ backend, password: PASSWORD, kdf: CHEAP });
      return environment(name);
    },
    async backUp(env) {
      const summary = (await ok(['server:backup', '--json'], env)).messages().at(-1);
      return String(summary?.['snapshot_id']);
    },
    async [Symbol.asyncDispose]() {
      program[Symbol.dispose]();
      await destroy(api, che);
      await backups[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

/** A server of the tests as an administrator configures it in the cluster. */
export async function configure(api: Api, name: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const url = new URL((env['BACKUP_REPOSITORY_URL'] ?? 'rest:http://u:p@127.0.0.1:9/x').slice('rest:'.length));
  const secret = (key: string, texts: Readonly<Record<string, string>>): Promise<KubeObject> =>
    api.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `${name}-${key}-${randomUUID()}`, namespace: CHE },
      data: Object.fromEntries(Object.entries(texts).map(([at, text]) => [at, Buffer.from(text).toString('base64')])),
    });
  const login = { username: url.username, password: decodeURIComponent(url.password) };
  const [password, credentials] = await Promise.all([secret('password', { key: PASSWORD }), secret('login', login)]);
  const rest = {
    protocol: 'http',
    hostname: url.hostname,
    port: Number(url.port),
    repositoryPath: url.pathname.slice(1),
    repositoryPasswordSecretRef: password.metadata.name,
    credentialsSecretRef: credentials.metadata.name,
  };
  const { apiVersion, kind, metadata } = jobOf(KIND.serverConfiguration, name);
  await api.create({ apiVersion, kind, metadata, spec: { rest } });
}

export function jobOf(kind: Kind, name: string): KubeObject {
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name, namespace: CHE }, spec: {} };
}

/** Lets each object of the kind go through the statuses that `perform` has for it. */
export function playOperator(
  api: Api,
  kind: Kind,
  perform: (object: KubeObject) => readonly object[],
): AsyncDisposable {
  const ending = new AbortController();
  const failures: unknown[] = [];
  const begun = new Set<string>();
  const play = async (object: KubeObject): Promise<void> => {
    for (const status of perform(object)) {
      // Longer than it takes until the command looks again.
      await sleep(1200, undefined, { signal: ending.signal });
      await api.merge(at(kind, CHE, object.metadata.name), { status }, 'status');
    }
  };
  const done = api.watch(
    kind,
    ({ type, object }) => {
      const { uid = '' } = object.metadata;
      const isOld = object.status !== undefined || Object.keys(object.spec ?? {}).length === 0;
      if (type === 'DELETED' || begun.has(uid) || isOld) return;
      begun.add(uid);
      play(object).catch((error: unknown) => !ending.signal.aborted && failures.push(error));
    },
    ending.signal,
  );
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await done;
      if (failures.length > 0) throw new AggregateError(failures, 'the operator failed');
    },
  };
}
