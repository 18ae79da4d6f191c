/** The key of an SFTP server that nobody has vouched for: the first one seen is kept with the configuration. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import type { ObjectRef } from '../objects/object.ts';

/** Lines of known_hosts. */
export const HOST_KEY_ANNOTATION = 'backup.che.eclipse.org/ssh-host-key';

const HOW = `If its key was changed on purpose, remove the annotation ${HOST_KEY_ANNOTATION} of the configuration`;

/**
 * Keeps the key of a server in the annotation of its configuration. Rejects with `untrusted` where another one is there
 * already, or where it may not be written.
 */
export async function learnHostKey(
  cluster: Cluster,
  configuration: ObjectRef,
  line: string,
  call: ClusterCall,
): Promise<void> {
  // Somebody who does the same at the same time shows as a conflict, and by then the annotation is there.
  for (let attempt = 1; ; attempt++) {
    const object = await cluster.get(configuration, call);
    const known = object?.metadata.annotations?.[HOST_KEY_ANNOTATION]?.trim() ?? '';
    if (known === line) return;
    // What is known of another host says nothing of this one: somebody has changed the configuration.
    if (hostOf(known) === hostOf(line)) throw untrusted(configuration, `another host key is known. ${HOW}`);
    const resourceVersion = object?.metadata.resourceVersion;
    const metadata = {
      annotations: { [HOST_KEY_ANNOTATION]: line },
      ...(resourceVersion !== undefined && { resourceVersion }),
    };
    try {
      await cluster.merge(configuration, { metadata }, call);
      return;
    } catch (error) {
      if (EngineError.is(error, 'denied')) {
        const how = 'put the line of ssh-keyscan into its Secret as known_hosts';
        throw untrusted(configuration, `its host key is not known and may not be noted: ${how}`, error);
      }
      if (!EngineError.is(error, 'conflict') || attempt === 5) throw error;
    }
  }
}

function hostOf(line: string): string | undefined {
  return line.split(' ', 1)[0];
}

function untrusted({ name }: ObjectRef, why: string, cause?: unknown): EngineError {
  const message = `of the SFTP server of ${name} ${why}`;
  return new EngineError('untrusted', message, { configuration: name }, cause === undefined ? {} : { cause });
}
