/** Which backup server is meant where nobody names one. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { BACKUP_SERVER_CONFIGURATION } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';

/** `"true"` marks the default among several configurations. */
export const DEFAULT_ANNOTATION = 'che.eclipse.org/backup-before-update';
/** What flags of a command are stored as. */
export const COMMAND_CONFIGURATION = 'eclipse-che-backup-server-config';

export interface ChooseOptions extends ClusterCall {
  readonly namespace: string;
  /**
   * Who asks: the backup before an update; a `CheClusterRestore` that names no configuration; the commands without flags
   * for a server.
   */
  readonly purpose: 'update' | 'restore-object' | 'backup-command' | 'restore-command';
}

/**
 * The name of the configuration to use; undefined stands for the internal backup server. Rejects with `not-found` where
 * there must be one and is none, and `ambiguous` where there are several.
 */
export async function chooseConfiguration(cluster: Cluster, options: ChooseOptions): Promise<string | undefined> {
  const { namespace, purpose, signal } = options;
  const found: KubeObject[] = [];
  for await (const object of cluster.list(BACKUP_SERVER_CONFIGURATION, { namespace, signal })) found.push(object);
  switch (purpose) {
    case 'update':
      return configurationForUpdate(found);
    case 'restore-object':
      return onlyConfiguration(found);
    case 'backup-command':
      return configurationForCommand(found);
    case 'restore-command': {
      const name = configurationForCommand(found);
      if (name === undefined) throw none();
      return name;
    }
  }
}

/** The only one, whatever its annotation says; of several the first one by name that is marked as default; else none. */
export function configurationForUpdate(found: readonly KubeObject[]): string | undefined {
  const marked = found.filter(({ metadata }) => metadata.annotations?.[DEFAULT_ANNOTATION] === 'true');
  return found.length === 1 ? found[0]?.metadata.name : namesOf(marked)[0];
}

/** The only one; of several the one that commands store. Annotations do not count. */
export function configurationForCommand(found: readonly KubeObject[]): string | undefined {
  const names = namesOf(found);
  if (names.length < 2) return names[0];
  if (names.includes(COMMAND_CONFIGURATION)) return COMMAND_CONFIGURATION;
  throw several(names);
}

function onlyConfiguration(found: readonly KubeObject[]): string {
  const names = namesOf(found);
  const [only] = names;
  if (only === undefined) throw none();
  if (names.length > 1) throw several(names);
  return only;
}

function namesOf(found: readonly KubeObject[]): string[] {
  return found.map(({ metadata }) => metadata.name).toSorted();
}

function none(): EngineError {
  return new EngineError('not-found', 'there is no backup server configuration in the namespace');
}

function several(names: readonly string[]): EngineError {
  const message = `there are ${names.length} backup server configurations in the namespace, name one of them: ${names.join(', ')}`;
  return new EngineError('ambiguous', message, { count: names.length });
}
