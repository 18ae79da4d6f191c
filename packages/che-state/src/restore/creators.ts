/**
 * Who creates a DevWorkspace. Its admission webhook notes the uid of whoever does in a label that nobody can change, and
 * lets only him into a workspace with restricted access.
 */
import { EngineError } from 'restic-engine';
import { DEV_WORKSPACE, NAMESPACE } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import { keyOf } from './live.ts';
import type { RestoreWork } from './work.ts';

const CREATOR_LABEL = 'controller.devfile.io/creator';
const USER_ANNOTATION = 'che.eclipse.org/username';
const RESTRICTED_ANNOTATION = 'controller.devfile.io/restricted-access';

/** Creates a workspace as its user; undefined when it is to be applied as all others are. */
export function creatorsOf(work: RestoreWork): (object: KubeObject) => Promise<KubeObject | undefined> {
  const users = new Map<string, Promise<string | undefined>>();
  return async (object) => {
    const { namespace = '' } = object.metadata;
    const user = users.get(namespace) ?? userOf(work, namespace);
    users.set(namespace, user);
    const created = await createAs(work, await user, object);
    if (created === undefined && object.metadata.annotations?.[RESTRICTED_ANNOTATION] !== undefined) {
      const ref = { kind: DEV_WORKSPACE, namespace, name: object.metadata.name };
      work.reasons.set(keyOf(ref), 'its access is restricted to who created it, and that was not its user');
    }
    return created;
  };
}

async function userOf({ cluster, impersonate, signal }: RestoreWork, namespace: string): Promise<string | undefined> {
  if (!impersonate) return undefined;
  const live = await cluster.get({ kind: NAMESPACE, namespace: undefined, name: namespace }, { signal });
  return live?.metadata.annotations?.[USER_ANNOTATION];
}

/**
 * A user who may not create workspaces there any more gets his back all the same. Rejects with `denied` without the right
 * to impersonate.
 */
async function createAs(
  { cluster, plan, signal }: RestoreWork,
  name: string | undefined,
  object: KubeObject,
): Promise<KubeObject | undefined> {
  if (name === undefined || name === '') return undefined;
  // Elsewhere the same user has another uid.
  const isSameCluster = plan.info.clusterUid === plan.target.clusterUid;
  const uid = isSameCluster ? object.metadata.labels?.[CREATOR_LABEL] || undefined : undefined;
  try {
    return await cluster.as({ name, uid }).create(DEV_WORKSPACE, object, { signal });
  } catch (error) {
    // Whoever restores may not do what was asked for: going on would make workspaces that their users never get back.
    if (EngineError.is(error, 'denied') && error.message.includes('cannot impersonate')) throw error;
    if (OTHERWISE.some((code) => EngineError.is(error, code))) return undefined;
    throw error;
  }
}

/** With these, applying the object as oneself may still go well, or says better what is wrong. */
const OTHERWISE = ['denied', 'already-exists', 'bad-request'] as const;
