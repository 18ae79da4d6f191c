/** What tests of backups share: repositories in memory, with whatever a test puts into a snapshot. */
import { backup, EngineError, initRepository, memoryBackend, objects, openRepository } from 'restic-engine';
import type { Repository } from 'restic-engine';

export const HOST = 'eclipse-che@uid-1';

/** `onLoad` is told each file that is read, or the part of one. */
export async function makeRepository(onLoad: () => void = () => undefined): Promise<Repository> {
  const backend = memoryBackend();
  const load = backend.load.bind(backend);
  backend.load = (...args) => {
    onLoad();
    return load(...args);
  };
  const password = 'correct horse';
  await initRepository({ backend, password, kdf: { N: 16, r: 1, p: 1 }, chunkerPolynomial: '25b468838dcb75' });
  return openRepository({ backend, password, workers: 0 });
}

export interface Saved {
  readonly host?: string;
  readonly tags?: readonly string[];
  readonly paths?: readonly string[];
  /** Seconds after midnight. */
  readonly at?: number;
}

/** Stores files as a snapshot; resolves with its id. */
export async function save(
  repository: Repository,
  files: Readonly<Record<string, string | Uint8Array>>,
  { host = HOST, tags = ['che', 'namespace:eclipse-che'], paths = ['/'], at = 0 }: Saved = {},
): Promise<string> {
  const entries = Object.entries(files).map(([path, content]) => ({ path, content }));
  const { snapshotId } = await backup(repository, {
    source: objects(entries, { paths }),
    hostname: host,
    tags,
    time: new Date(Date.UTC(2026, 0, 1, 0, 0, at)),
  });
  return snapshotId ?? '';
}

/** How the old operator's snapshots look from outside. */
export const OLD: Saved = { host: 'operator-7c9f', tags: [], paths: ['/tmp/che-backup-data'] };

export const INFO = `appsDomain: apps.example.com
cheVersion: 7.100.0
creationDate: "2026-01-01T00:00:00.000Z"
generation: v2
infrastructure: Openshift 4
metadataFileVersion: v1
namespace: eclipse-che
`;

export const CHE_CLUSTER = `apiVersion: org.eclipse.che/v2
kind: CheCluster
metadata:
  name: devspaces
  namespace: eclipse-che
spec: {}
`;

export const secret = (name: string, namespace = 'eclipse-che', value = 'dmFsdWU='): string =>
  `apiVersion: v1\ndata:\n  key: ${value}\nkind: Secret\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\n`;

export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return 'nothing was thrown';
  } catch (error) {
    return EngineError.is(error) ? error.code : error;
  }
}
