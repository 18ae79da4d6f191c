import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KubeObject } from '@restic-engine/che-state';
import { backupState, openState, planRestore, restoreState } from '@restic-engine/che-state';
import { initRepository, memoryBackend, openRepository } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeers } from '../peers/peers.ts';
import { showLogsOfFailures } from '../servers/logs.ts';
import { applyCrds, definitionsOf } from './crds/install.ts';
import { startApiServer, type ApiServer } from './support/api-server.ts';
import { destroy, install, installationV2 } from './support/installation.ts';
import { takePicture } from './support/picture.ts';
import { startPlayers } from './support/players.ts';

/** Definitions as their projects publish them, where somebody has put them beside the checkout. */
const FOLDER = fileURLToPath(new URL('../../../shared/fixtures/crds', import.meta.url));

interface Definition extends KubeObject {
  readonly spec: { readonly versions: readonly { readonly name: string; readonly storage: boolean }[] };
}

/** Without the versions that a webhook would convert, which does not run here. */
function withoutConversion({ apiVersion, kind, metadata, spec }: Definition): KubeObject {
  const { conversion: _conversion, versions, ...rest } = spec as Definition['spec'] & { readonly conversion?: unknown };
  const stored = versions.filter(({ storage }) => storage).map((version) => ({ ...version }));
  return { apiVersion, kind, metadata: { name: metadata.name }, spec: { ...rest, versions: stored } };
}

/** An API server of this age takes an empty text for none, and refuses that as the default of a text. */
function withoutEmptyDefault(name: string, value: unknown): unknown {
  return name === 'default' && (value === '' || value === null) ? undefined : value;
}

async function realDefinitions(server: ApiServer): Promise<KubeObject[]> {
  const names = readdirSync(FOLDER).filter((name) => !name.includes('historical'));
  const files = names.flatMap((name) => ['-f', join(FOLDER, name)]);
  const { stdout, stderr } = await server.kubectl(['create', '--dry-run=client', '-o', 'json', ...files]);
  if (stdout === '') throw new Error(stderr);
  // kubectl writes one document for each, one after the other.
  const documents = stdout
    .split(/^(?=\{)/m)
    .map((text) => JSON.parse(text, withoutEmptyDefault) as Definition | { items: Definition[] });
  return documents.flatMap((each) => ('items' in each ? (each.items as Definition[]) : [each])).map(withoutConversion);
}

await describeWithPeers(['kube-apiserver', 'etcd', 'kubectl'], 'with the real definitions', () => {
  showLogsOfFailures();

  it.skipIf(!existsSync(FOLDER))('an installation comes back as it was', { timeout: 180_000 }, async () => {
    await using server = await startApiServer({ crds: false });
    const real = await realDefinitions(server);
    expect(real.length).toBeGreaterThan(4);
    const names = new Set(real.map(({ metadata }) => metadata.name));
    await applyCrds(server.api, [...real, ...definitionsOf().filter(({ metadata }) => !names.has(metadata.name))]);

    await using _players = startPlayers(server.api, { cheApi: 'v2' });
    const installation = installationV2({ users: 2, devWorkspaces: 4 });
    await install(server.api, installation);
    const before = await takePicture(server.api, installation);
    expect(Object.keys(before)).toHaveLength(installation.saved.length);

    const backend = memoryBackend();
    await initRepository({ backend, password: 'secret' });
    await using repository = await openRepository({ backend, password: 'secret' });
    await using cluster = await server.connect();
    const { snapshotId } = await backupState(repository, { cluster, reason: 'manual' });
    await destroy(server.api, installation);
    const plan = await planRestore({ cluster, state: await openState(repository, snapshotId) });
    const result = await restoreState({ cluster, repository, plan });
    expect(result).toMatchObject({ applied: installation.saved.length, differences: [] });
    expect(await takePicture(server.api, installation)).toEqual(before);
  });
});
