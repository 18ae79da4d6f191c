/** Changes the version of the Che operator before a restore. */
import type { CheContext } from './context.ts';
import { readManifests } from './manifests.ts';
import { tellStage } from './render/stages.ts';
import type { RestoreFlags } from './restore-flags.ts';
import type { Place } from './server.ts';

/** The operator has as long as Che has. */
const READY_MS = 15 * 60_000;

export async function bringVersion(
  { signal, ui }: CheContext,
  { cluster, che, namespace }: Place,
  version: string,
  { operatorManifests, readyTimeout = READY_MS }: RestoreFlags,
): Promise<void> {
  const manifests = operatorManifests === undefined ? undefined : await readManifests(operatorManifests);
  await che.bringOperator(cluster, {
    version,
    manifests,
    namespace,
    timeoutMs: readyTimeout,
    signal,
    onProgress: ({ step, csv = '', phase = '' }) => {
      tellStage(ui, { stage: `Che operator ${version}`, message: [step, csv, phase].filter(Boolean).join(' ') });
    },
  });
}
