import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/objects/object.ts';
import { normalize } from '../../src/objects/strip.ts';

/** What an API server and controllers add to everything. */
const LIVE: object = {
  uid: '0b0f6d1c-9f5b-4b7e-8a52-f1a4c1f7a001',
  resourceVersion: '812',
  generation: 3,
  creationTimestamp: '2026-01-02T03:04:05Z',
  selfLink: '/api/v1/x',
  generateName: 'x-',
  managedFields: [{ manager: 'kubectl' }],
  finalizers: ['x.example.org'],
};

const live = (object: Omit<KubeObject, 'metadata'> & { readonly metadata?: object }): KubeObject =>
  ({
    ...object,
    metadata: {
      name: 'a',
      namespace: 'n',
      ...LIVE,
      ...object.metadata,
    },
  }) as KubeObject;

const owner = (kind: string, name: string) => ({ apiVersion: 'v1', kind, name, uid: 'u', controller: true });

describe('what is saved of an object', () => {
  it('is what somebody has said, of every kind', () => {
    const object = live({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      data: { key: 'dmFsdWU=' },
      metadata: {
        labels: { app: 'x' },
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":{"key":"dmFsdWU="}}', kept: 'yes' },
        ownerReferences: [owner('CheCluster', 'devspaces')],
        deletionTimestamp: '2026-01-02T03:04:05Z',
        deletionGracePeriodSeconds: 30,
      },
      status: { phase: 'x' },
    });
    expect(normalize(object)).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      data: { key: 'dmFsdWU=' },
      metadata: { name: 'a', namespace: 'n', labels: { app: 'x' }, annotations: { kept: 'yes' } },
    });
  });

  it.each<[string, KubeObject, object]>([
    [
      'a CheCluster keeps what its defaults cleaner has noted',
      live({
        apiVersion: 'org.eclipse.che/v2',
        kind: 'CheCluster',
        metadata: { annotations: { 'che.eclipse.org/checluster-defaults-cleanup': '{}' } },
        spec: { networking: { domain: 'd' } },
        status: { chePhase: 'Active' },
      }),
      {
        metadata: { name: 'a', namespace: 'n', annotations: { 'che.eclipse.org/checluster-defaults-cleanup': '{}' } },
        spec: { networking: { domain: 'd' } },
      },
    ],
    [
      'a Namespace loses what is set for it',
      live({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: {
          namespace: undefined,
          labels: { 'kubernetes.io/metadata.name': 'a', 'pod-security.kubernetes.io/enforce': 'baseline' },
          annotations: {
            'che.eclipse.org/username': 'jane',
            'controller.devfile.io/node-selector': '{}',
            'controller.devfile.io/pod-tolerations': '[]',
            'openshift.io/sa.scc.uid-range': '1000/1000',
            'openshift.io/sa.scc.mcs': 's0',
            'openshift.io/requester': 'jane',
          },
        },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      }),
      {
        metadata: {
          name: 'a',
          labels: { 'pod-security.kubernetes.io/enforce': 'baseline' },
          annotations: { 'che.eclipse.org/username': 'jane', 'openshift.io/requester': 'jane' },
        },
      },
    ],
    [
      'a PersistentVolumeClaim forgets its volume',
      live({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          annotations: {
            'pv.kubernetes.io/bind-completed': 'yes',
            'pv.kubernetes.io/bound-by-controller': 'yes',
            'volume.beta.kubernetes.io/storage-provisioner': 'p',
            'volume.kubernetes.io/storage-provisioner': 'p',
            'volume.kubernetes.io/selected-node': 'node-1',
          },
          ownerReferences: [owner('DevWorkspace', 'w')],
        },
        spec: { volumeName: 'pvc-1', storageClassName: 'fast', resources: { requests: { storage: '10Gi' } } },
        status: { phase: 'Bound' },
      }),
      {
        metadata: { name: 'a', namespace: 'n', annotations: { 'backup.che.eclipse.org/owner': 'DevWorkspace/w' } },
        spec: { storageClassName: 'fast', resources: { requests: { storage: '10Gi' } } },
      },
    ],
    [
      'ca-certs keeps what is not injected',
      live({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { labels: { 'config.openshift.io/inject-trusted-cabundle': 'true' } },
        data: { 'ca-bundle.crt': 'PEM', 'own.crt': 'OWN' },
      }),
      {
        metadata: { name: 'a', namespace: 'n', labels: { 'config.openshift.io/inject-trusted-cabundle': 'true' } },
        data: { 'own.crt': 'OWN' },
      },
    ],
    [
      'another ConfigMap keeps a key of that name',
      live({ apiVersion: 'v1', kind: 'ConfigMap', data: { 'ca-bundle.crt': 'PEM' } }),
      { metadata: { name: 'a', namespace: 'n' }, data: { 'ca-bundle.crt': 'PEM' } },
    ],
    [
      'a DevWorkspace is stopped, and keeps its id',
      live({
        apiVersion: 'workspace.devfile.io/v1alpha2',
        kind: 'DevWorkspace',
        metadata: {
          labels: { 'controller.devfile.io/creator': 'user-uid' },
          annotations: {
            'controller.devfile.io/started-at': '1',
            'controller.devfile.io/stopped-by': 'inactivity',
            'controller.devfile.io/last-backup-successful': 'true',
            'controller.devfile.io/last-backup-finished-at': 'x',
            'controller.devfile.io/last-backup-error': 'x',
            'controller.devfile.io/restricted-access': 'true',
          },
        },
        spec: { started: true, template: { components: [] } },
        status: { devworkspaceId: 'workspace0b0f6d1c9f5b4b7e', phase: 'Running' },
      }),
      {
        metadata: {
          name: 'a',
          namespace: 'n',
          labels: { 'controller.devfile.io/creator': 'user-uid' },
          annotations: {
            'controller.devfile.io/restricted-access': 'true',
            'controller.devfile.io/devworkspace_id_override': 'workspace0b0f6d1c9f5b4b7e',
          },
        },
        spec: { started: false, template: { components: [] } },
      },
    ],
    [
      'a DevWorkspaceTemplate names its owner',
      live({
        apiVersion: 'workspace.devfile.io/v1alpha2',
        kind: 'DevWorkspaceTemplate',
        metadata: { ownerReferences: [owner('Other', 'o'), owner('devworkspace', 'w')] },
        spec: { commands: [] },
      }),
      {
        metadata: { name: 'a', namespace: 'n', annotations: { 'backup.che.eclipse.org/owner': 'DevWorkspace/w' } },
        spec: { commands: [] },
      },
    ],
  ])('%s', (_what, object, saved) => {
    expect(normalize(object)).toEqual({ apiVersion: object.apiVersion, kind: object.kind, ...saved });
    // What is saved is saved like that again.
    expect(normalize(normalize(object))).toEqual(normalize(object));
  });

  it('leaves the object as it was', () => {
    const object = Object.freeze(
      live({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', spec: Object.freeze({ volumeName: 'v' }) }),
    );
    const before = structuredClone(object);
    normalize(object);
    expect(object).toEqual(before);
  });

  it('gives a DevWorkspace no id that would be refused', () => {
    const workspace = (status: object, annotations?: object) =>
      normalize(live({ apiVersion: 'x/v1', kind: 'DevWorkspace', status: { ...status }, metadata: { annotations } }));
    expect(workspace({ devworkspaceId: 'x'.repeat(26) }).metadata.annotations).toBeUndefined();
    expect(workspace({}).metadata.annotations).toBeUndefined();
    const overridden = { 'controller.devfile.io/devworkspace_id_override': 'asked-for' };
    expect(workspace({}, overridden).metadata.annotations).toEqual(overridden);
    // An override that came too late has changed nothing.
    expect(workspace({ devworkspaceId: 'is' }, overridden).metadata.annotations).toEqual({
      'controller.devfile.io/devworkspace_id_override': 'is',
    });
  });
});
