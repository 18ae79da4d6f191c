import { expect, it } from 'vitest';
import {
  CHE_CLUSTER_V2,
  CLUSTER_ROLE,
  CONFIG_MAP,
  DEV_WORKSPACE,
  DEV_WORKSPACE_TEMPLATE,
  NAMESPACE,
  ROLE,
  ROLE_BINDING,
  SECRET,
} from '../../src/objects/kinds.ts';
import type { Kind } from '../../src/objects/object.ts';
import { stageOf, waves } from '../../src/restore/order.ts';

const thing = (kind: Kind, namespace?: string, name = 'x') => ({ ref: { kind, namespace, name } });

it('applies what the CheCluster needs before it, and workspaces last', () => {
  const stage = (kind: Kind, namespace?: string, name?: string) => stageOf(thing(kind, namespace, name).ref, 'che');
  expect(stage(CLUSTER_ROLE)).toBe('objects');
  expect(stage(NAMESPACE, undefined, 'che')).toBe('objects');
  expect(stage(SECRET, 'che')).toBe('objects');
  expect(stage(CHE_CLUSTER_V2, 'che')).toBe('cr');
  expect(stage(NAMESPACE, undefined, 'user1')).toBe('namespaces');
  expect(stage(SECRET, 'user1')).toBe('namespaces');
  expect(stage(DEV_WORKSPACE_TEMPLATE, 'user1')).toBe('workspaces');
  expect(stage(DEV_WORKSPACE, 'user1')).toBe('workspaces');
});

it('goes kind after kind: namespaces, cluster scope, then as they come, and workspaces after templates', () => {
  const found = waves([
    thing(DEV_WORKSPACE, 'a'),
    thing(ROLE, 'a'),
    thing(SECRET, 'a'),
    thing(ROLE_BINDING, 'a'),
    thing(SECRET, 'b'),
    thing(DEV_WORKSPACE_TEMPLATE, 'a'),
    thing(CLUSTER_ROLE),
    thing(CONFIG_MAP, 'a'),
    thing(NAMESPACE, undefined, 'a'),
  ]);
  expect(found.map((wave) => `${wave[0]?.ref.kind.kind} ${wave.length}`)).toEqual([
    'Namespace 1',
    'ClusterRole 1',
    'Role 1',
    'Secret 2',
    'RoleBinding 1',
    'DevWorkspaceTemplate 1',
    'ConfigMap 1',
    'DevWorkspace 1',
  ]);
});
