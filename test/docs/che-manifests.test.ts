// Every manifest in the chapter about Che is one that a cluster takes, as it is written.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromYaml, type KubeObject } from '@restic-engine/che-state';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApiServer } from '../cluster/support/api-server.ts';
import type { ApiServer } from '../cluster/support/api-server.ts';
import { describeWithPeer } from '../peers/peers.ts';

const root = join(import.meta.dirname, '../..');
const folder = join(root, 'docs/che');

/** The manifests of a page. */
function manifestsOf(page: string): string[] {
  const blocks = [...readFileSync(join(folder, page), 'utf8').matchAll(/^ *```yaml\n([^]*?)^ *```$/gm)];
  return blocks.flatMap(([, text = '']) => text.split(/^---$/m));
}

const pages = readdirSync(folder).filter((page) => manifestsOf(page).length > 0);

await describeWithPeer('kube-apiserver', 'manifests in the documentation', () => {
  const running: ApiServer[] = [];
  const ok = async (words: readonly string[], input = ''): Promise<string> => {
    const { status, stdout, stderr } = (await running[0]?.kubectl(words, { input })) ?? expect.unreachable();
    if (status !== 0) throw new Error(`kubectl ${words.join(' ')}: ${stderr}`);
    return stdout;
  };
  beforeAll(async () => {
    running.push(await startApiServer());
    const crds = ['-f', join(root, 'deploy/crds')];
    await ok(['apply', ...crds]);
    await ok(['wait', '--for=condition=Established', ...crds, '--timeout=30s']);
    for (const name of ['eclipse-che', 'ann-che']) await ok(['create', 'namespace', name]);
  });
  afterAll(() => running[0]?.[Symbol.asyncDispose]());

  it.for(pages)('of %s', async (page) => {
    const manifests = manifestsOf(page);
    const output = await ok(['apply', '--dry-run=server', '--output', 'json', '-f', '-'], manifests.join('\n---\n'));
    const answer = JSON.parse(output) as KubeObject & { readonly items?: readonly KubeObject[] };
    const taken = answer.items ?? [answer];
    const asked = await Promise.all(manifests.map(async (text) => (await fromYaml(text)) as KubeObject));
    expect(taken).toHaveLength(asked.length);
    // What a schema does not know would be left out. What is written as text comes back as `data`.
    for (const [at, { stringData: _text, ...object }] of asked.entries()) expect(taken[at]).toMatchObject(object);
  });
});
