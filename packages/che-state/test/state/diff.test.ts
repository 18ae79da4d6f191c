import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/objects/object.ts';
import { pathOf } from '../../src/objects/path.ts';
import { SECRET } from '../../src/objects/kinds.ts';
import { diffObjects } from '../../src/state/diff-objects.ts';
import { diffStates } from '../../src/state/diff.ts';
import type { StateSide } from '../../src/state/diff.ts';
import { MASK, maskSecrets } from '../../src/state/mask.ts';

const FUZZ = { interruptAfterTimeLimit: 1500, markInterruptAsFailure: false } as const;

const workspace = (spec: object): KubeObject =>
  ({ apiVersion: 'x/v1', kind: 'DevWorkspace', metadata: { name: 'w', namespace: 'n' }, spec }) as KubeObject;

describe('how two versions of an object differ', () => {
  it('is said by paths, values before and after', () => {
    const before = workspace({ started: false, a: { b: 1 }, old: true, list: [1, 2, 3] });
    const after = workspace({ started: true, a: { b: 1, 'c.d/e': 'x' }, list: [1, 4] });
    expect(diffObjects(before, after)).toEqual([
      { path: 'spec.a["c.d/e"]', change: 'added', before: undefined, after: 'x' },
      { path: 'spec.list[1]', change: 'changed', before: 2, after: 4 },
      { path: 'spec.list[2]', change: 'removed', before: 3, after: undefined },
      { path: 'spec.old', change: 'removed', before: true, after: undefined },
      { path: 'spec.started', change: 'changed', before: false, after: true },
    ]);
  });

  it('finds items of lists by name or id, wherever they are', () => {
    const component = (name: string, image: string) => ({ name, container: { image } });
    const before = workspace({
      components: [component('a', '1'), component('b', '1')],
      commands: [{ id: 'run', x: 1 }],
    });
    const after = workspace({
      components: [component('b', '2'), component('a', '1')],
      commands: [{ id: 'run', x: 2 }],
    });
    expect(diffObjects(before, after).map(({ path }) => path)).toEqual([
      'spec.commands[id=run].x',
      'spec.components[name=b].container.image',
    ]);
  });

  it('compares lists with a name twice by place', () => {
    const before = workspace({
      subjects: [
        { name: 'a', namespace: '1' },
        { name: 'a', namespace: '2' },
      ],
    });
    const after = workspace({
      subjects: [
        { name: 'a', namespace: '1' },
        { name: 'a', namespace: '3' },
      ],
    });
    expect(diffObjects(before, after).map(({ path }) => path)).toEqual(['spec.subjects[1].namespace']);
  });

  it('tells a list from an object, and null from nothing', () => {
    const before = workspace({ a: [], b: null, c: 0 });
    const after = workspace({ a: {}, c: '0' });
    expect(diffObjects(before, after).map(({ path, change }) => [path, change])).toEqual([
      ['spec.a', 'changed'],
      ['spec.b', 'removed'],
      ['spec.c', 'changed'],
    ]);
  });

  it('is nothing between equal objects, and something between others', () => {
    const spec = fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 3 }));
    fc.assert(
      fc.property(spec, spec, (a, b) => {
        expect(diffObjects(workspace(a), workspace(structuredClone(a)))).toEqual([]);
        const isSame = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
        expect(diffObjects(workspace(a), workspace(b)).length === 0).toBe(isSame);
      }),
      FUZZ,
    );
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .map(([name, inner]) => [name, sorted(inner)])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

const CANARY = 'hunter2';

describe('secrets', () => {
  it.each<[string, Partial<KubeObject>]>([
    ['values of Secrets', { kind: 'Secret', data: { a: CANARY }, stringData: { b: CANARY } }],
    [
      'what was applied',
      {
        kind: 'Secret',
        metadata: {
          name: 'a',
          annotations: { 'kubectl.kubernetes.io/last-applied-configuration': `{"a":"${CANARY}"}` },
        },
      },
    ],
    ['clients of OAuth', { kind: 'OAuthClient', secret: CANARY, additionalSecrets: [CANARY] }],
    ['the secret in a CheCluster', { kind: 'CheCluster', spec: { networking: { auth: { oAuthSecret: CANARY } } } }],
    [
      'passwords in an older CheCluster',
      {
        kind: 'CheCluster',
        spec: {
          auth: { oAuthSecret: CANARY, identityProviderPassword: CANARY, identityProviderPostgresPassword: CANARY },
          database: { chePostgresPassword: CANARY },
          server: {
            proxyPassword: CANARY,
            customCheProperties: { CHE_OAUTH1_BITBUCKET_PRIVATEKEY: CANARY, CHE_API_TOKEN: CANARY },
          },
        },
      },
    ],
    [
      'properties',
      { kind: 'CheCluster', spec: { components: { cheServer: { extraProperties: { MY_PASSWORD: CANARY } } } } },
    ],
    ['variables', { kind: 'DevWorkspace', spec: { components: [{ env: [{ name: 'GITHUB_TOKEN', value: CANARY }] }] } }],
    [
      'logins in addresses',
      {
        kind: 'DevWorkspace',
        spec: { projects: [{ git: { remotes: { origin: `https://${CANARY}@github.com/a/b` } } }] },
      },
    ],
    [
      'logins in annotations',
      { kind: 'ConfigMap', metadata: { name: 'a', annotations: { url: `https://u:${CANARY}@example.com` } } },
    ],
  ])('are masked: %s', (_what, part) => {
    const object: KubeObject = { apiVersion: 'x/v1', kind: 'X', metadata: { name: 'a' }, ...part };
    const masked = maskSecrets(object);
    expect(JSON.stringify(masked)).not.toContain(CANARY);
    expect(JSON.stringify(masked)).toContain(MASK);
    expect(JSON.stringify(object)).toContain(CANARY);

    // Not in a difference either: as a whole, and where it changes.
    const empty: KubeObject = { apiVersion: 'x/v1', kind: object.kind, metadata: { name: 'a' } };
    const changed: KubeObject = JSON.parse(JSON.stringify(object).replaceAll(CANARY, `${CANARY}-new`));
    for (const [before, after] of [
      [empty, object],
      [object, empty],
      [object, changed],
    ] as const) {
      const changes = diffObjects(before, after);
      expect(changes).not.toEqual([]);
      expect(JSON.stringify(changes)).not.toContain(CANARY);
    }
  });

  it('are told by key only', () => {
    const object = (data: Record<string, string>): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'a' },
      data,
    });
    expect(diffObjects(object({ 'tls.crt': 'a', b: 'b', c: 'c' }), object({ 'tls.crt': 'x', c: 'c', d: 'd' }))).toEqual(
      [
        { path: 'data["tls.crt"]', change: 'changed', before: MASK, after: MASK },
        { path: 'data.b', change: 'removed', before: MASK, after: undefined },
        { path: 'data.d', change: 'added', before: undefined, after: MASK },
      ],
    );
  });

  it('are not what only names them', () => {
    const spec = {
      networking: { tlsSecretName: 'che-tls' },
      database: { chePostgresSecret: 'postgres' },
      auth: { identityProviderSecret: 'kc', identityToken: 'access_token' },
      env: [
        { name: 'HOME', value: '/home/user' },
        { name: 'MY_TOKEN', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
      ],
      url: 'https://example.com/a@b',
    };
    const object = { ...workspace(spec), data: { config: 'a: b' } } as KubeObject;
    expect(maskSecrets(object)).toEqual(object);
  });
});

describe('how two states differ', () => {
  const side = (secrets: Readonly<Record<string, string>>, reads: string[] = []): StateSide => ({
    objects: Object.entries(secrets).map(([name, value]) => {
      const ref = { kind: SECRET, namespace: 'n', name };
      return { ref, path: pathOf(ref, 'n'), fingerprint: value };
    }),
    read: ({ ref: { name } }) => {
      reads.push(name);
      const value = secrets[name] ?? '';
      return Promise.resolve({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, data: { value } });
    },
  });

  it('is said object by object, reading only what may differ', async () => {
    const reads: string[] = [];
    const before = side({ same: '1', changed: '1', removed: '1' }, reads);
    const after = side({ same: '1', changed: '2', added: '1' }, reads);
    const differences = await Array.fromAsync(diffStates(before, after));
    expect(differences.map(({ path, change, fields }) => [path, change, fields.map((field) => field.path)])).toEqual([
      ['secrets/added.yaml', 'added', []],
      ['secrets/changed.yaml', 'changed', ['data.value']],
      ['secrets/removed.yaml', 'removed', []],
    ]);
    expect(reads).toEqual(['changed', 'changed']);
  });

  it('is in order, however many there are', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `s${i}`);
    const all = (value: string) => side(Object.fromEntries(names.map((name) => [name, value])));
    const differences = await Array.fromAsync(diffStates(all('1'), all('2')));
    expect(differences.map(({ ref }) => ref.name)).toEqual(names.toSorted());
  });
});
