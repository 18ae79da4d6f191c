import type { Backend } from '@restic-engine/repo-format';
import { describe, it } from 'vitest';
import { describeBackend } from '../../src/conformance/index.ts';
import { restBackend } from '../../src/rest/open.ts';
import { startRest } from './server.ts';
import type { RestServerOptions } from './server.ts';

const PASSWORD = 'p:ä/s@s';

/** A backend that takes its server with it. */
async function backendOn(options: RestServerOptions, url: (base: string) => string): Promise<Backend> {
  const server = await startRest(options);
  const backend = await restBackend({ url: url(server.url), env: {} });
  await backend.create();
  return {
    location: backend.location,
    traits: backend.traits,
    create: (call) => backend.create(call),
    save: (file, segments, call) => backend.save(file, segments, call),
    load: (file, range, call) => backend.load(file, range, call),
    stat: (file, call) => backend.stat(file, call),
    list: (type, call) => backend.list(type, call),
    remove: (file, call) => backend.remove(file, call),
    async [Symbol.asyncDispose]() {
      await backend[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const suite = { describe, it };
const traits = { connections: 5, atomicReplace: false, listAfterWrite: true, canRemove: true };

describeBackend(suite, 'rest', () => backendOn({}, (base) => `${base}repo`), { traits });

const withPassword = (base: string): string => base.replace('//', `//us%2Fer:${encodeURIComponent(PASSWORD)}@`);
describeBackend(
  suite,
  'rest with a password and version 1 of the protocol',
  () => backendOn({ credentials: `us/er:${PASSWORD}`, version1: true }, (base) => `${withPassword(base)}some/repo/`),
  { traits, secrets: [PASSWORD, encodeURIComponent(PASSWORD)] },
);
