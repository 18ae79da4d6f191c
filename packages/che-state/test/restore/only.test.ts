import { expect, it } from 'vitest';
import { CONFIG_MAP, DEV_WORKSPACE, NAMESPACE, SECRET } from '../../src/objects/kinds.ts';
import type { Kind, ObjectRef } from '../../src/objects/object.ts';
import { choose } from '../../src/restore/only.ts';

const ref = (kind: Kind, namespace: string | undefined, name: string): ObjectRef => ({ kind, namespace, name });
const OBJECTS = [
  ref(NAMESPACE, undefined, 'user1'),
  ref(NAMESPACE, undefined, 'user2'),
  ref(SECRET, 'che', 'tls'),
  ref(SECRET, 'user1', 'git'),
  ref(SECRET, 'user1', 'git.old'),
  ref(CONFIG_MAP, 'user1', 'git'),
  ref(DEV_WORKSPACE, 'user2', 'one'),
];
const matched = (...only: readonly string[]): string[] => {
  const chosen = choose(only);
  return OBJECTS.filter((each) => chosen.object(each)).map(
    ({ kind, namespace = '', name }) => `${kind.kind}/${namespace}/${name}`,
  );
};

it('chooses by kind, name and namespace', () => {
  expect(matched('Secret')).toEqual(['Secret/che/tls', 'Secret/user1/git', 'Secret/user1/git.old']);
  expect(matched('secrets/git')).toEqual(['Secret/user1/git']);
  expect(matched('SECRET/user1/*')).toEqual(['Secret/user1/git', 'Secret/user1/git.old']);
  expect(matched('Secret/*/g*t')).toEqual(['Secret/user1/git']);
  expect(matched('secret/user?/git')).toEqual([]);
  // A dot is a dot, and a name is all of the name.
  expect(matched('Secret/git.')).toEqual([]);
  expect(matched('Secret/it')).toEqual([]);
  expect(matched('Secret/gi*it')).toEqual([]);
  expect(matched('Secret/g*i*t')).toEqual(['Secret/user1/git']);
  expect(matched('Secret/*/gitxold', 'DevWorkspace')).toEqual(['DevWorkspace/user2/one']);
  // What is in no namespace is in none that is named.
  expect(matched('Namespace/*/user1')).toEqual([]);
  expect(matched('Namespace/user1')).toEqual(['Namespace//user1']);
});

it('takes a namespace with what is in it', () => {
  expect(matched('namespace:user1')).toEqual([
    'Namespace//user1',
    'Secret/user1/git',
    'Secret/user1/git.old',
    'ConfigMap/user1/git',
  ]);
  expect(matched('namespace:*')).toHaveLength(OBJECTS.length);
});

it('chooses databases apart from objects', () => {
  const all = choose(['databases']);
  expect([all.database('dbche'), all.object(OBJECTS[0]!)]).toEqual([true, false]);
  const one = choose(['database:db*']);
  expect([one.database('dbche'), one.database('keycloak')]).toEqual([true, false]);
  expect(choose(['Secret']).database('dbche')).toBe(false);
});

it('chooses everything where nothing is said, and nothing where no selector is', () => {
  const everything = choose(undefined);
  expect([everything.database('x'), OBJECTS.every((each) => everything.object(each))]).toEqual([true, true]);
  expect(everything.unused()).toBeUndefined();
  expect(matched()).toEqual([]);
});

it('tells which selector has chosen nothing', () => {
  const chosen = choose(['Secret', 'configmaps', 'database:dbche']);
  for (const each of OBJECTS) chosen.object(each);
  expect(chosen.unused()).toBe('database:dbche');
  chosen.database('dbche');
  expect(chosen.unused()).toBeUndefined();
});

it.each([
  '',
  '/',
  'Secret/',
  '/x',
  'a/b/c/d',
  'Secret//x',
  'namespace:',
  'namespace:a/b',
  'database:a:b',
  'se cret',
  'x:y',
  '*',
])('refuses %j', (selector) => {
  expect(() => choose([selector])).toThrow(expect.objectContaining({ code: 'bad-request', context: { selector } }));
});

it('matches long names promptly', () => {
  const chosen = choose([`Secret/${'a*'.repeat(30)}b`]);
  const started = performance.now();
  expect(chosen.object(ref(SECRET, 'x', 'a'.repeat(253)))).toBe(false);
  expect(performance.now() - started).toBeLessThan(1000);
});
