import { tracingChannel } from 'node:diagnostics_channel';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend, BackendTraits } from '@restic-engine/repo-format';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { describeBackend } from '../src/conformance/index.ts';
import {
  BACKEND_CHANNEL,
  bandwidth,
  localBackend,
  memoryBackend,
  withBandwidth,
  withFaults,
  withLimit,
  withObserve,
  withRetry,
  wrap,
} from '../src/index.ts';
import type { Wrapper } from '../src/index.ts';
import { override } from '../src/wrap/wrap.ts';

const suite = { describe, it };

/** A local backend in a new folder that goes away with it. */
async function temporaryLocal(): Promise<Backend> {
  const folder = await mkdtemp(join(tmpdir(), 'backend-'));
  return override(localBackend(join(folder, 'repo')), {
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  });
}

const all = { connections: 2, atomicReplace: true, listAfterWrite: true, canRemove: true };

describeBackend(suite, 'memory', async () => memoryBackend(), { traits: all });
describeBackend(suite, 'memory, append-only', async () => memoryBackend({ atomicReplace: false, canRemove: false }), {
  traits: { ...all, atomicReplace: false, canRemove: false },
});
describeBackend(suite, 'local', temporaryLocal, { traits: all });

/** Every wrapper that keeps the promises of what is below it. */
const WRAPPERS: [string, Wrapper, Partial<BackendTraits>?][] = [
  ['retry', withRetry()],
  ['limit', withLimit(1), { connections: 1 }],
  ['observe', withObserve()],
  ['bandwidth', withBandwidth(bandwidth({ upload: 2 ** 40, download: 2 ** 40 }))],
  ['faults that never happen', withFaults({})],
];
for (const [name, wrapper, traits] of WRAPPERS) {
  describeBackend(suite, `memory with ${name}`, async () => wrap(memoryBackend(), wrapper), {
    traits: { ...all, ...traits },
  });
}

describeBackend(suite, 'local with all wrappers', async () =>
  wrap(
    await temporaryLocal(),
    withFaults({}),
    withObserve(),
    withBandwidth(bandwidth({ upload: 2 ** 40, download: 2 ** 40 })),
    withLimit(),
    withRetry(),
  ),
);

describe('watched by somebody', () => {
  const channel = tracingChannel(BACKEND_CHANNEL);
  const ignore = (): undefined => undefined;
  beforeAll(() => channel.asyncEnd.subscribe(ignore));
  afterAll(() => {
    channel.asyncEnd.unsubscribe(ignore);
  });
  describeBackend(suite, 'memory', async () => wrap(memoryBackend(), withObserve()), { traits: all });
});
