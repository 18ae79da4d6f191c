import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readManifests } from '../../src/che/manifests.ts';
import { makeTempDir } from '../temp-dir.ts';

const OBJECT = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n';

async function read(text: string): Promise<string[]> {
  using folder = makeTempDir();
  const path = join(folder.path, 'manifests.yaml');
  writeFileSync(path, text);
  return (await readManifests(path)).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
}

it('reads any number of documents, and lists', async () => {
  const list = `apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n`;
  expect(await read(`---\n${OBJECT}---\n# nothing\n---\n${list}`)).toEqual(['ConfigMap/a', 'Secret/b']);
});

it.each<[string, RegExp]>([
  ['', /has no manifests/],
  ['a: [1', /is no YAML/],
  ['just: text\n', /no Kubernetes object/],
  [`${OBJECT}---\n- a\n`, /no Kubernetes object/],
  ['apiVersion: v1\nkind: Secret\nmetadata: {name: 1}\n', /no Kubernetes object/],
])('refuses %j', async (text, message) => {
  await expect(read(text)).rejects.toThrow(message);
});

it('says which file is missing', async () => {
  await expect(readManifests('/nonexistent/file')).rejects.toThrow('/nonexistent/file does not exist');
});
