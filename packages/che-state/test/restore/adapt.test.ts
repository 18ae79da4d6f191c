import { describe, expect, it } from 'vitest';
import { CLUSTER_ROLE, NAMESPACE, OAUTH_CLIENT, SECRET } from '../../src/objects/kinds.ts';
import type { KubeObject } from '../../src/objects/object.ts';
import { adapt, adaptRef, type Move } from '../../src/restore/adapt.ts';

const STAY: Move = {
  from: { namespace: 'che', domain: 'one.example' },
  to: { namespace: 'che', domain: 'one.example' },
  infrastructure: 'Openshift 4',
  flavor: 'devspaces',
};
const OTHER_DOMAIN: Move = { ...STAY, to: { namespace: 'che', domain: 'two.example' } };
const OTHER_NAMESPACE: Move = { ...STAY, to: { namespace: 'new', domain: 'one.example' } };

const object = (kind: string, fields: object = {}, metadata: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'x', namespace: 'che', ...metadata },
  ...fields,
});
const cheV2 = (networking: object): KubeObject => ({
  ...object('CheCluster', { spec: { networking } }),
  apiVersion: 'org.eclipse.che/v2',
});
const cheV1 = (spec: object): KubeObject => ({ ...object('CheCluster', { spec }), apiVersion: 'org.eclipse.che/v1' });

describe('namespaces', () => {
  it("puts what was in Che's into the new one, and nothing else", () => {
    expect(adapt(OTHER_NAMESPACE, object('Secret')).metadata.namespace).toBe('new');
    expect(adapt(OTHER_NAMESPACE, object('Secret', {}, { namespace: 'user1' })).metadata.namespace).toBe('user1');
    expect(adaptRef(OTHER_NAMESPACE, { kind: SECRET, namespace: 'che', name: 'che' })).toMatchObject({
      namespace: 'new',
      name: 'che',
    });
  });

  it('renames what is named after it in the cluster', () => {
    const name = (kind: typeof NAMESPACE, old: string): string =>
      adaptRef(OTHER_NAMESPACE, { kind, namespace: undefined, name: old }).name;
    expect(name(NAMESPACE, 'che')).toBe('new');
    expect(name(NAMESPACE, 'che-user')).toBe('che-user');
    expect(name(OAUTH_CLIENT, 'che-client')).toBe('new-client');
    expect(name(OAUTH_CLIENT, 'client')).toBe('client');
    expect(name(CLUSTER_ROLE, 'che-cheworkspaces-clusterrole')).toBe('new-cheworkspaces-clusterrole');
    expect(name(CLUSTER_ROLE, 'che-gateway')).toBe('che-gateway');
    expect(name(CLUSTER_ROLE, 'che-che-gateway')).toBe('new-che-gateway');
    expect(name(CLUSTER_ROLE, 'che-admins')).toBe('che-admins');
    const cluster = object('OAuthClient', {}, { name: 'che-client', namespace: undefined });
    expect(adapt(OTHER_NAMESPACE, cluster).metadata.name).toBe('new-client');
  });

  it('names the accounts that moved in bindings and constraints', () => {
    const binding = object(
      'RoleBinding',
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'che-cheworkspaces-x' },
        subjects: [
          { kind: 'ServiceAccount', name: 'che', namespace: 'che' },
          { kind: 'ServiceAccount', name: 'a', namespace: 'other' },
          { kind: 'User', name: 'system:serviceaccount:che:a' },
          { kind: 'Group', name: 'system:serviceaccounts:che' },
          { kind: 'User', name: 'che' },
        ],
      },
      { namespace: 'user1' },
    );
    expect(adapt(OTHER_NAMESPACE, binding)).toEqual({
      ...binding,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'new-cheworkspaces-x' },
      subjects: [
        { kind: 'ServiceAccount', name: 'che', namespace: 'new' },
        { kind: 'ServiceAccount', name: 'a', namespace: 'other' },
        { kind: 'User', name: 'system:serviceaccount:new:a' },
        { kind: 'Group', name: 'system:serviceaccounts:new' },
        { kind: 'User', name: 'che' },
      ],
    });
    const own = object('RoleBinding', { roleRef: { kind: 'Role', name: 'che-client' } }, { namespace: 'user1' });
    expect(adapt(OTHER_NAMESPACE, own)).toEqual(own);
    const scc = object('SecurityContextConstraints', { users: ['system:serviceaccount:che:che', 'bob'], groups: [] });
    expect(adapt(OTHER_NAMESPACE, scc)['users']).toEqual(['system:serviceaccount:new:che', 'bob']);
  });

  it('finds the configuration that a workspace names', () => {
    const workspace = (namespace: string): KubeObject =>
      object(
        'DevWorkspace',
        {
          spec: { template: { attributes: { 'controller.devfile.io/devworkspace-config': { name: 'c', namespace } } } },
        },
        { namespace: 'user1' },
      );
    expect(adapt(OTHER_NAMESPACE, workspace('che'))).toEqual(workspace('new'));
    expect(adapt(OTHER_NAMESPACE, workspace('mine'))).toEqual(workspace('mine'));
  });
});

describe('hosts and domains of a CheCluster of today', () => {
  const networking = (move: Move, before: object): unknown => adapt(move, cheV2(before)).spec?.['networking'];

  it('stay where nothing changes', () => {
    const all = { hostname: 'che.one.example', domain: 'one.example', auth: { oAuthClientName: 'che-client' } };
    expect(networking(STAY, all)).toEqual(all);
  });

  it('are left out where they were generated, and stay where somebody chose them', () => {
    const generated = { hostname: 'devspaces.one.example', domain: 'one.example' };
    expect(networking(OTHER_DOMAIN, generated)).toEqual({});
    const chosen = { hostname: 'che.company.example', domain: 'other.example' };
    expect(networking(OTHER_DOMAIN, chosen)).toEqual(chosen);
    // Its end is not the domain.
    expect(networking(OTHER_DOMAIN, { hostname: 'che-one.example' })).toEqual({ hostname: 'che-one.example' });
  });

  it('have a domain on Kubernetes, which cannot find it', () => {
    const move: Move = { ...OTHER_DOMAIN, infrastructure: 'Kubernetes' };
    expect(networking(move, { domain: 'one.example', hostname: 'che.one.example' })).toEqual({ domain: 'two.example' });
  });

  it('are taken for the same while the domain is not known', () => {
    const all = { hostname: 'che.one.example', domain: 'one.example' };
    expect(networking({ ...STAY, to: { namespace: 'che', domain: '' } }, all)).toEqual(all);
    expect(networking({ ...OTHER_DOMAIN, from: { namespace: 'che', domain: '' } }, all)).toEqual(all);
  });

  it('go with the namespace that they are made of', () => {
    const hosts = (hostname: string) =>
      networking(OTHER_NAMESPACE, { hostname, auth: { oAuthClientName: 'che-client' } });
    const auth = { oAuthClientName: 'new-client' };
    expect(hosts('che.one.example')).toEqual({ auth });
    expect(hosts('devspaces-che.one.example')).toEqual({ auth });
    expect(hosts('mine.one.example')).toEqual({ hostname: 'mine.one.example', auth });
    expect(networking(OTHER_NAMESPACE, { domain: 'one.example' })).toEqual({ domain: 'one.example' });
    expect(networking(OTHER_NAMESPACE, { auth: { oAuthClientName: 'own' } })).toEqual({
      auth: { oAuthClientName: 'own' },
    });
  });
});

describe('hosts and domains of a CheCluster before', () => {
  const spec = (move: Move, before: object): unknown => adapt(move, cheV1(before)).spec;
  const openShift = { server: { cheHost: 'codeready-che.one.example', a: 1 }, k8s: {} };

  it('lose a generated host on OpenShift, too, where ingressDomain is empty', () => {
    expect(spec(OTHER_DOMAIN, openShift)).toEqual({ server: { a: 1 }, k8s: {} });
    const chosen = { server: { cheHost: 'codeready.company.example' }, k8s: { ingressDomain: '' } };
    expect(spec(OTHER_DOMAIN, chosen)).toEqual(chosen);
    expect(spec(STAY, openShift)).toEqual(openShift);
  });

  it('get the new domain on Kubernetes', () => {
    const move: Move = { ...OTHER_DOMAIN, infrastructure: 'Kubernetes' };
    expect(spec(move, { k8s: { ingressDomain: 'one.example' }, server: { cheHost: 'che-che.one.example' } })).toEqual({
      k8s: { ingressDomain: 'two.example' },
      server: {},
    });
    const other = { k8s: { ingressDomain: 'mine.example' }, server: {} };
    expect(spec(move, other)).toEqual(other);
  });

  it('keep an identity provider of somebody else', () => {
    const auth = (identityProviderURL: string, more = {}) => ({ auth: { identityProviderURL, ...more } });
    expect(spec(OTHER_DOMAIN, auth('https://keycloak-che.one.example/auth'))).toEqual({ auth: {} });
    for (const kept of [
      auth('https://keycloak-che.one.example/auth', { externalIdentityProvider: true }),
      auth('https://login.company.example/'),
      auth('no URL'),
    ]) {
      expect(spec(OTHER_DOMAIN, kept)).toEqual(kept);
    }
    expect(spec(OTHER_NAMESPACE, auth('https://keycloak-che.one.example/auth'))).toEqual({ auth: {} });
  });
});

it('leaves an object alone that does not move, and never changes the one it is given', () => {
  const frozen = Object.freeze(object('DevWorkspace', Object.freeze({ spec: Object.freeze({ started: false }) })));
  expect(adapt(STAY, frozen)).toEqual(frozen);
  expect(adapt(OTHER_NAMESPACE, frozen)).toEqual({ ...frozen, metadata: { name: 'x', namespace: 'new' } });
});
