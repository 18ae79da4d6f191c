import { execFileSync, spawn } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describeBackend } from '@restic-engine/backends/conformance';
import { sftpBackend, withRetry, wrap } from 'restic-engine';
import type { Backend, SftpOptions } from 'restic-engine';
import SftpClient from 'ssh2-sftp-client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { fastTime } from '../support/fast-time.ts';
import { startProxy } from '../support/proxy.ts';
import { randomFrom } from '../support/random.ts';
import { makeTempDir } from '../support/temp-dir.ts';
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

  describeBackend({ describe, it }, 'sshd', async () => openPlace(await server().place(newName())), { traits: TRAITS });

  it('stores what another client reads, and reads what that one stores', async () => {
    const options = optionsFor(server());
    await using backend = await sftpBackend(options);
    await backend.create();
    await backend.save(FILE, [CONTENT]);
    const other = new SftpClient();
    const { identity, port, user: username } = server();
    await other.connect({ host: '127.0.0.1', port, username, privateKey: readFileSync(identity) });
    try {
      const path = `${options.path}/data/${FILE.name.slice(0, 2)}/${FILE.name}`;
      expect(CONTENT.equals((await other.get(path)) as Buffer)).toBe(true);
      const theirs = randomFrom(4).bytes(1_000_000);
      const { name } = dataFile(theirs);
      await other.put(theirs, `${options.path}/data/${name.slice(0, 2)}/${name}`);
      expect(await holds(backend, theirs)).toBe(true);
      await backend.remove(FILE);
      expect(await other.exists(path)).toBe(false);
    } finally {
      await other.end();
    }
  });

  it('serves through the program ssh as well', async () => {
    await using backend = await openPlace(await server().placeBySsh(newName()));
    await backend.create();
    const contents = Array.from({ length: 5 }, (_, index) => randomFrom(9).bytes(700_000 + index));
    await Promise.all(contents.map((content) => backend.save(dataFile(content), [content])));
    for (const content of contents) expect(await holds(backend, content)).toBe(true);
    expect(await Array.fromAsync(backend.list('data'))).toHaveLength(5);
    await backend.remove(FILE);
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'not-found' });
    expect(backend.traits).toEqual(TRAITS);
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

  it('is told of by its path where nothing may be made', async () => {
    const path = '/etc/restic-engine-test';
    await using backend = await open({ path });
    await expect(backend.create()).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining(path) });
  });

  it('opens with none but the right key', async () => {
    await using backend = await open({ identityFiles: [server().wrongIdentity] });
    await expect(backend.create()).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining(server().wrongIdentity),
    });
    await using burglar = await open({ identityFiles: Array.from({ length: 10 }, () => server().wrongIdentity) });
    await expect(burglar.create()).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('Too many authentication failures'),
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

  it('says why the program ssh does not get there', async () => {
    const { port, user, identity, wrongIdentity, knownHosts } = server();
    const ssh = (key: string, hosts: string): Promise<Backend> => {
      const how = `-F none -i ${key} -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=${hosts}`;
      return open({ command: `ssh 127.0.0.1 -p ${port} -l ${user} ${how} -s sftp`.split(' ') });
    };
    for (const [key, hosts, code] of [
      [wrongIdentity, knownHosts, 'unauthorized'],
      [identity, '/dev/null', 'untrusted'],
    ] as const) {
      await using backend = await ssh(key, hosts);
      await expect(backend.create()).rejects.toMatchObject({ code });
    }
    await using nothing = await open({ command: ['/no/such/program'] });
    await expect(nothing.create()).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('takes keys from an agent, and only those that are named when it is told so', async () => {
    using folder = makeTempDir();
    const { identity, wrongIdentity, port, user, knownHosts } = server();
    const agent = join(folder.path, 'agent');
    const program = spawn('ssh-agent', ['-D', '-a', agent], { stdio: 'ignore' });
    try {
      await vi.waitFor(() => statSync(agent));
      const env = { SSH_AUTH_SOCK: agent };
      for (const key of [wrongIdentity, identity]) execFileSync('ssh-add', ['-q', key], { env, stdio: 'ignore' });
      const { identityFiles: _, ...options } = optionsFor(server());
      await using backend = await sftpBackend({ ...options, agent });
      await backend.create();

      const configFile = join(folder.path, 'config');
      const named = (key: string): string => `IdentitiesOnly yes\nIdentityFile ${folder.path}/${key}\n`;
      for (const key of [identity, wrongIdentity]) {
        const name = key === identity ? 'right' : 'wrong';
        cpSync(`${key}.pub`, join(folder.path, `${name}.pub`));
        writeFileSync(configFile, named(name));
        const place = {
          host: '127.0.0.1',
          port,
          user,
          path: server().folder(newName()),
          knownHostsFiles: [knownHosts],
        };
        await using limited = await sftpBackend({ ...place, configFile, agent });
        if (name === 'right') await limited.create();
        else await expect(limited.create()).rejects.toMatchObject({ code: 'unauthorized' });
      }
    } finally {
      program.kill();
    }
  });

  it('takes a key that is encrypted, and says when it cannot be opened', async () => {
    using folder = makeTempDir();
    const key = join(folder.path, 'key');
    cpSync(server().identity, key);
    execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'sésame', '-f', key]);
    await using opened = await open({ identityFiles: [key], passphrase: 'sésame' });
    await opened.create();
    await using inMemory = await open({
      identityFiles: [],
      privateKey: readFileSync(key, 'utf8'),
      passphrase: 'sésame',
    });
    await inMemory.create();
    for (const passphrase of [{}, { passphrase: 'wr0ng' }]) {
      await using locked = await open({ identityFiles: [key], ...passphrase });
      const error: unknown = await locked.create().catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'bad-request', message: expect.stringContaining(key) });
      expect(JSON.stringify(error)).not.toContain('wr0ng');
    }
  });

  it('is reached through another host, and through a command', async () => {
    using folder = makeTempDir();
    const configFile = join(folder.path, 'config');
    const { port, user, identity, knownHosts } = server();
    const path = server().folder(newName());
    const both = `IdentityFile ${identity}\nUserKnownHostsFile ${knownHosts}\nUser ${user}\n`;
    const behind = `Host behind\nHostName 127.0.0.1\nPort ${port}\n`;
    const proxies = [
      `ProxyJump ${user}@127.0.0.1:${port}`,
      `ProxyCommand '${process.execPath}' -e 'const s=require("net").connect(%p,"%h");process.stdin.pipe(s).pipe(process.stdout)'`,
    ];
    for (const proxy of proxies) {
      writeFileSync(configFile, `${behind}${proxy}\nHost *\n${both}`);
      await using backend = await sftpBackend({ host: 'behind', path, configFile, agent: false });
      await backend.create();
      await backend.save(FILE, [CONTENT]);
      expect(await holds(backend, CONTENT)).toBe(true);
    }
  });

  it('leaves nothing under a final name when a connection breaks in an upload', async () => {
    await using proxy = await startProxy({ target: server().port });
    const path = server().folder(newName());
    await using backend = await open({ port: proxy.port, path });
    await backend.create();
    proxy.arm({ direction: 'up', after: CONTENT.length / 2, effect: 'reset' });
    await expect(backend.save(FILE, [CONTENT])).rejects.toMatchObject({ code: 'io' });
    const folder = join(path, 'data', FILE.name.slice(0, 2));
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^[0-9a-f]{64}-restic-temp-[0-9a-f]{32}$/)]);
    expect(await Array.fromAsync(backend.list('data'))).toEqual([]);
    await backend.save(FILE, [CONTENT]);
    expect(await holds(backend, CONTENT)).toBe(true);
  });

  it('takes a repository in with all sessions at once', async () => {
    await using backend = await open();
    await backend.create();
    const contents = Array.from({ length: 12 }, (_, index) => randomFrom(50 + index).bytes(5_000_000 + index));
    await Promise.all(contents.map((content) => backend.save(dataFile(content), [content])));
    const checks = await Promise.all(contents.map((content) => holds(backend, content)));
    expect(checks).toEqual(contents.map(() => true));
  });

  it('is found again when its connections end, and when it is started again', async () => {
    let restarted = Promise.resolve();
    await using backend = wrap(await open(), withRetry({ time: fastTime(() => restarted) }));
    await backend.create();
    server().dropConnections();
    await backend.save(FILE, [CONTENT]);
    const loading = Array.from({ length: 20 }, () => holds(backend, CONTENT));
    // What fails meanwhile waits until it is there again.
    restarted = server().restart();
    expect(new Set(await Promise.all(loading))).toEqual(new Set([true]));
    await restarted;
  });
});

await describeWithPeer('sshd', 'sshd of its own', (program) => {
  it('that shows another host key is not trusted, whatever ssh was told about unknown hosts', async () => {
    await using server = await startSshd(program);
    using folder = makeTempDir();
    const configFile = join(folder.path, 'config');
    const knownHostsFile = join(folder.path, 'known');
    const { port, user, identity } = server;
    writeFileSync(
      configFile,
      `UserKnownHostsFile ${knownHostsFile}\nStrictHostKeyChecking no\nIdentityFile ${identity}`,
    );
    const place = { host: '127.0.0.1', port, user, path: server.folder('repo'), configFile, agent: false } as const;
    {
      await using backend = await sftpBackend(place);
      await backend.create();
    }
    expect(readFileSync(knownHostsFile, 'utf8')).toMatch(/^\[127\.0\.0\.1\]:\d+ ssh-ed25519 \S+\n$/);
    server.changeHostKey();
    await server.restart();
    await using backend = await sftpBackend(place);
    await expect(backend.create()).rejects.toMatchObject({
      code: 'untrusted',
      message: expect.stringContaining(`ssh-keygen -R '[127.0.0.1]:${port}' -f ${knownHostsFile}`),
    });
  });

  it.skipIf(!canChroot())('that shows a part of the system only', async () => {
    await using server = await startSshd(program, { chroot: true });
    await using backend = await openPlace(await server.place('repo'));
    await backend.create();
    await backend.save(FILE, [CONTENT]);
    expect(await holds(backend, CONTENT)).toBe(true);
    expect(readdirSync(server.folder('repo'))).toContain('data');
    // Its root is not the user's.
    const place = { ...(await server.place('x')), location: `sftp://${server.user}@127.0.0.1:${server.port}//repo` };
    await using above = await openPlace(place);
    await expect(above.create()).rejects.toMatchObject({ code: 'denied' });
  });
});
