import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from 'restic-engine';
import { SAVED_KINDS } from '../../src/collect/table.ts';
import { CHE_CLUSTER_V2, CLUSTER_ROLE, CONFIG_MAP, DEV_WORKSPACE, NAMESPACE, SECRET } from '../../src/objects/kinds.ts';
import type { ObjectRef } from '../../src/objects/object.ts';
import { CHE_CLUSTER_PATH, databaseAt, databasePath, pathOf, refAt } from '../../src/objects/path.ts';

const MINE = 'eclipse-che';
const codeOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return EngineError.is(error) ? error.code : error;
  }
};

const character = fc.constantFrom(...'abcxyz0189-.:_@~+=é '.split(''));
const objectName = fc
  .string({ unit: character, minLength: 1, maxLength: 40 })
  .filter((name) => !/^\.{1,2}$/.test(name));
const namespace = fc.oneof(fc.constant(MINE), fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/));
const ref = fc
  .tuple(fc.constantFrom(...SAVED_KINDS), namespace, objectName)
  .map(([kind, place, name]): ObjectRef => ({ kind, namespace: kind.namespaced ? place : undefined, name }));

describe('where objects are in a backup', () => {
  it.each([
    [{ kind: SECRET, namespace: MINE, name: 'che-tls' }, 'secrets/che-tls.yaml'],
    [{ kind: CONFIG_MAP, namespace: MINE, name: 'ca-certs' }, 'configmaps/ca-certs.yaml'],
    [{ kind: CHE_CLUSTER_V2, namespace: MINE, name: 'devspaces' }, 'che-cr.yaml'],
    [{ kind: SECRET, namespace: 'jane-che', name: 'git' }, 'objects/jane-che/core_Secret/git.yaml'],
    [{ kind: NAMESPACE, namespace: undefined, name: 'jane-che' }, 'objects/_cluster/core_Namespace/jane-che.yaml'],
    [
      { kind: CLUSTER_ROLE, namespace: undefined, name: 'a:b' },
      'objects/_cluster/rbac.authorization.k8s.io_ClusterRole/a:b.yaml',
    ],
    [
      { kind: DEV_WORKSPACE, namespace: 'jane-che', name: 'w' },
      'objects/jane-che/workspace.devfile.io_DevWorkspace/w.yaml',
    ],
  ])('%#: %o', (at, path) => {
    expect(pathOf(at, MINE)).toBe(path);
    if (path !== CHE_CLUSTER_PATH) expect(refAt(path, MINE, SAVED_KINDS)).toEqual(at);
  });

  it('is said by the path, and says it', () => {
    fc.assert(
      fc.property(ref, (at) => {
        const path = pathOf(at, MINE);
        if (path !== CHE_CLUSTER_PATH) expect(refAt(path, MINE, SAVED_KINDS)).toEqual(at);
        expect(path.split('/').some((part) => part === '' || part === '.' || part === '..')).toBe(false);
      }),
      { interruptAfterTimeLimit: 1500, markInterruptAsFailure: false },
    );
  });

  it.each(['', '.', '..', 'a/b', '../x', 'a%2fb', 'a\nb', 'a\0', '\u001b[2J', '\ud800', 'x'.repeat(1001)])(
    'is nowhere for a name such as %j',
    (name) => {
      expect(codeOf(() => pathOf({ kind: SECRET, namespace: MINE, name }, MINE))).toBe('bad-request');
      expect(codeOf(() => databasePath(name))).toBe('bad-request');
      expect(codeOf(() => refAt(`secrets/${name}.yaml`, MINE, SAVED_KINDS))).toBe('corrupt');
    },
  );

  it('is nowhere for a namespace that there cannot be', () => {
    for (const bad of ['', '..', '_cluster', 'A', 'a/b', 'x'.repeat(64)]) {
      expect(codeOf(() => pathOf({ kind: SECRET, namespace: bad, name: 'a' }, MINE))).toBe('bad-request');
    }
  });

  it.each([
    ['', 'corrupt'],
    ['secrets', 'corrupt'],
    ['secrets/a', 'corrupt'],
    ['secrets/.yaml', 'corrupt'],
    ['secrets/a/b.yaml', 'corrupt'],
    ['other/a.yaml', 'corrupt'],
    ['objects/a.yaml', 'corrupt'],
    ['objects/jane/core_Secret', 'corrupt'],
    ['objects/jane/Secret/a.yaml', 'corrupt'],
    ['objects/../core_Secret/a.yaml', 'corrupt'],
    ['objects/jane/core_Secret/../x.yaml', 'corrupt'],
    // Two places for one object would be two answers.
    [`objects/${MINE}/core_Secret/a.yaml`, 'corrupt'],
    [`objects/${MINE}/org.eclipse.che_CheCluster/a.yaml`, 'corrupt'],
    ['objects/_cluster/core_Secret/a.yaml', 'corrupt'],
    ['objects/jane/core_Namespace/a.yaml', 'corrupt'],
    ['objects/jane/core_Pod/a.yaml', 'unsupported'],
    ['objects/jane/example.org_Secret/a.yaml', 'unsupported'],
  ])('knows nothing at %j', (path, code) => {
    expect(codeOf(() => refAt(path, MINE, SAVED_KINDS))).toBe(code);
  });

  it('has dumps of databases beside them', () => {
    expect(databasePath('dbche')).toBe('db/dbche.sql');
    expect(databaseAt('db/dbche.sql')).toBe('dbche');
    for (const path of ['db/.sql', 'db/a.sql/b.sql', 'db/a', 'dbs/a.sql']) {
      expect(databaseAt(path)).toBeUndefined();
    }
  });
});
