import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeBackend } from '@restic-engine/backends/conformance';
import { sftpBackend, withRetry, wrap } from 'restic-engine';
import type { Backend, SftpOptions } from 'restic-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { fastTime } from '../support/fast-time.ts';
import { startProxy } from '../support/proxy.ts';
import { randomFrom } from '../support/random.ts';
import { openPlace } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';
import { canChroot, startSshd } from './sshd.ts';
import type { Sshd } from './sshd.ts';
import { dataFile, holds } from './stored.ts';

// OpenSSH's server. What all servers have in common is tried with the others.

showLogsOfFailures();

const TRAITS = { connections: 5, atomicReplace: true, listAfterWrite: true, canRemove: true };
const CONTENT = randomFrom(3).bytes(3_000_000);
const FILE = dataFile(CONTENT);

await describeWithPeer('sshd', 'sshd', (program) => {
  const running: Sshd[] = [];
  let places = 0;
  beforeAll(async () => void running.push(await startSshd(program)));
  afterAll(() => running[0]?.[Symbol.asyncDispose]());
  const server = (): Sshd => {
    const [found] = running;
    if (found === undefined) throw new Error('sshd has not been started yet');
    return found;
  };
  const newName = (): string => `place-${(places += 1)}`;
  /** Everything by options, nothing from the machine. */
  const optionsFor = (sshd: Sshd): SftpOptions => ({
    host: '127.0.0.1',
    port: sshd.port,
    user: sshd.user,
    path: sshd.folder(newName()),
    identityFiles: [sshd.identity],
    knownHostsFiles: [sshd.knownHosts],
    configFile: false,
    agent: false,
  });
  const open = (changes: Partial<SftpOptions> = {}): Promise<Backend> =>
    sftpBackend({ ...optionsFor(server()), ...changes });

  const suite = { describe, it };
  describeBackend(suite, 'sshd', async () => openPlace(await server().place(newName())), { traits: TRAITS });
  describeBackend(suite, 'sshd by ssh', async () => openPlace(await server().placeBySsh(newName())), {
    traits: TRAITS,
  });

  it('keeps files as restic does: folders for the owner, files read-only, nothing else', async () => {
    const path = server().folder(newName());
    await using backend = await open({ path });
    await backend.create();
    await backend.save(FILE, [CONTENT]);
    expect(readdirSync(path).sort()).toEqual(['data', 'index', 'keys', 'locks', 'snapshots']);
    expect(readdirSync(join(path, 'data'))).toHaveLength(256);
    const folder = join(path, 'data', FILE.name.slice(0, 2));
    expect(readdirSync(folder)).toEqual([FILE.name]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, FILE.name)).mode & 0o777).toBe(0o400);
  });

  it('takes a relative path from where the user is put', async () => {
    const name = newName();
    await using backend = await open({ path: name });
    await backend.create();
    expect(readdirSync(server().folder(name))).toContain('data');
  });

  it('opens with none but the right key', async () => {
    await using backend = await open({ identityFiles: [server().wrongIdentity] });
    await expect(backend.create()).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining(server().wrongIdentity),
    });
  });

  it('is trusted by its key only', async () => {
    const { port } = server();
    await using stranger = await open({ knownHostsFiles: [] });
    await expect(stranger.create()).rejects.toMatchObject({
      code: 'untrusted',
      message: expect.stringContaining(`ssh-keyscan -p ${port} 127.0.0.1`),
      context: { fingerprint: expect.stringMatching(/^SHA256:[\w+/]{43}$/) },
    });
    await using anybody = await open({ knownHostsFiles: [], insecureAcceptAnyHostKey: true });
    await anybody.create();
  });
});
