/** What a cluster looks like, apart from what is another thing each time: to be compared before and after. */
import type { KubeObject } from '@restic-engine/che-state';
import { KIND } from '../crds/kinds.ts';
import type { Api } from './api.ts';
import type { TestInstallation } from './installation.ts';

/** Everything that matters of objects, by `<kind>/<namespace>/<name>`. */
export type Picture = Readonly<Record<string, unknown>>;

export function nameOf({ kind, metadata: { namespace, name } }: KubeObject): string {
  return `${kind}/${namespace ?? ''}/${name}`;
}

/** What belongs to a backup of `installation`, as it is now. What is missing is missing in the picture. */
export async function takePicture(api: Api, { saved }: TestInstallation): Promise<Picture> {
  const names = new Set(saved.map(nameOf));
  const kinds = new Set(saved.map(({ kind }) => kind));
  const found = new Map<string, unknown>();
  for (const kind of Object.values(KIND).filter((each) => kinds.has(each.kind))) {
    for (const object of await api.list(kind)) {
      if (names.has(nameOf(object))) found.set(nameOf(object), essenceOf(object));
    }
  }
  return Object.fromEntries(found);
}

/** Annotations that come and go with backups and with workspaces that run. */
const PASSING =
  /^(?:backup\.che\.eclipse\.org\/|kubectl\.kubernetes\.io\/|controller\.devfile\.io\/(?:devworkspace_id_override|started-at)$)/;

function essenceOf({ metadata, status, ...rest }: KubeObject): unknown {
  const { namespace, name, labels, annotations, ownerReferences } = metadata;
  const lasting = Object.entries(annotations ?? {}).filter(([key]) => !PASSING.test(key));
  const { finalizers: _finalizers, started: _started, ...spec } = rest.spec ?? {};
  return {
    ...rest,
    ...(rest.spec !== undefined && { spec }),
    metadata: { namespace, name, labels: { ...labels }, annotations: Object.fromEntries(lasting) },
    // Templates go with their workspace; what Che owned may come back without that.
    owners:
      ownerReferences?.filter(({ kind }) => kind === 'DevWorkspace').map(({ kind, name: of }) => `${kind}/${of}`) ?? [],
    // Files on volumes are found by it.
    id: status?.['devworkspaceId'] ?? null,
  };
}
