import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EngineError } from 'restic-engine';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { makeTempDir } from '../../../../test/support/temp-dir.ts';
import { fixture } from '../../../backends/test/http/servers.ts';
import { connectCluster } from '../../src/cluster/connect.ts';
import { SECRET } from '../../src/objects/kinds.ts';
import { answer, kubeconfig, startStandIn, type StandIn, type StandInOptions } from './stand-in.ts';

const ref = { kind: SECRET, namespace: 'che', name: 'tls' };
const secret = { metadata: { name: 'tls' } };
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const identity = (name: string) => ({ cert: fixture(name), key: fixture(name) });
const trust = { 'certificate-authority-data': base64(fixture('ca')) };

/** The code of what becomes of a call; `done` for a good one. */
async function outcome(server: StandIn): Promise<unknown> {
  return server.cluster.get(ref).then(
    () => 'done',
    (error: unknown) => (error instanceof EngineError ? error.code : error),
  );
}

function folder(): string {
  const dir = makeTempDir();
  onTestFinished(() => dir[Symbol.dispose]());
  return dir.path;
}

async function written(name: string, text: string): Promise<string> {
  const file = path.join(folder(), name);
  await writeFile(file, text, { mode: 0o755 });
  return file;
}

describe('trust in the API', () => {
  it('needs its certificate authority and its name, unless nobody asks for them', async () => {
    const cases: readonly (readonly [string, Readonly<Record<string, unknown>>, string])[] = [
      ['server', {}, 'untrusted'],
      ['server', { 'certificate-authority-data': base64(fixture('other-ca')) }, 'untrusted'],
      ['server', trust, 'done'],
      ['other-host', trust, 'untrusted'],
      ['other-host', { ...trust, 'tls-server-name': 'other.invalid' }, 'done'],
      ['server', { 'insecure-skip-tls-verify': true }, 'done'],
    ];
    for (const [name, clusterOptions, expected] of cases) {
      const options = { tls: identity(name), clusterOptions };
      await using server = await startStandIn((_, response) => answer(response, 200, secret), options);
      expect([name, clusterOptions, await outcome(server)]).toEqual([name, clusterOptions, expected]);
    }
  });

  it('is not given up for a server without TLS unless that is said', async () => {
    await using server = await startStandIn((_, response) => answer(response, 200, secret), {
      clusterOptions: { 'insecure-skip-tls-verify': false },
      user: { token: 'secret-token' },
    });
    expect(await outcome(server)).toBe('bad-request');
    expect(server.connections).toBe(0);
  });
});

describe('who one is', () => {
  /** The header that proves it, or the code of the error. */
  async function authorization(user: NonNullable<StandInOptions['user']>): Promise<unknown> {
    let seen: string | undefined;
    await using server = await startStandIn(
      (request: IncomingMessage, response) => {
        seen = request.headers.authorization;
        answer(response, 200, secret);
      },
      { user },
    );
    const result = await outcome(server);
    return result === 'done' ? seen : result;
  }

  it('is told by a token, by a file with one, by a name and password, or not at all', async () => {
    expect(await authorization({ token: 'abc' })).toBe('Bearer abc');
    const tokenFile = await written('token', 'from-a-file\n');
    expect(await authorization({ 'auth-provider': { name: 'tokenFile', config: { tokenFile } } })).toBe(
      'Bearer from-a-file',
    );
    expect(await authorization({ username: 'name', password: 'word' })).toBe(`Basic ${base64('name:word')}`);
    expect(await authorization({})).toBeUndefined();
    expect(await authorization({ 'auth-provider': { name: 'tokenFile', config: { tokenFile: '/none' } } })).toBe(
      'unauthorized',
    );
  });

  it('is told by a plugin, of which nothing is repeated when it fails', async () => {
    const credential = {
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      status: { token: 'plugged' },
    };
    const plugin = await written('plugin', `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`);
    const exec = (command: string) => ({ exec: { apiVersion: credential.apiVersion, command, args: [] } });
    expect(await authorization(exec(plugin))).toBe('Bearer plugged');

    const runs = path.join(folder(), 'runs');
    const counted = await written(
      'counted',
      `#!/bin/sh\necho run >> '${runs}'\necho '${JSON.stringify(credential)}'\n`,
    );
    await using busy = await startStandIn((_, response) => answer(response, 200, secret), { user: exec(counted) });
    await Promise.all(Array.from({ length: 20 }, () => busy.cluster.get(ref)));
    expect(await readFile(runs, 'utf8')).toBe('run\n');

    const failing = await written('failing', '#!/bin/sh\necho "password is canary-3c" >&2; exit 1\n');
    await using server = await startStandIn((_, response) => answer(response, 200, secret), { user: exec(failing) });
    const error: unknown = await server.cluster.get(ref).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'unauthorized' });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('canary');
    expect((error as Error).cause).toBeUndefined();
  });

  it('is told by a certificate', async () => {
    const tls = { ...identity('server'), ca: fixture('ca'), requestCert: true, rejectUnauthorized: true };
    const user = { 'client-certificate-data': base64(fixture('client')), 'client-key-data': base64(fixture('client')) };
    for (const [as, expected] of [
      [user, 'done'],
      [{}, 'unauthorized'],
    ] as const) {
      const options = { tls, clusterOptions: trust, user: as };
      await using server = await startStandIn((_, response) => answer(response, 200, secret), options);
      expect(await outcome(server)).toBe(expected);
    }
  });
});

describe('a proxy', () => {
  it('is gone through, once for many calls, and for commands in pods', async () => {
    let tunnels = 0;
    const sockets: Socket[] = [];
    const proxy = createServer();
    proxy.on('connect', (request: IncomingMessage, client: Socket) => {
      tunnels++;
      const [host = '', port] = (request.url ?? '').split(':');
      const target = connect(Number(port), host, () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(target).pipe(client);
      });
      for (const socket of [client, target]) {
        sockets.push(socket);
        socket.on('error', () => socket.destroy());
      }
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    });
    const options: StandInOptions = {
      tls: identity('server'),
      clusterOptions: { ...trust, 'proxy-url': `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` },
      async upgrade(client) {
        client.accept('v4.channel.k8s.io');
        await client.send(1, 'through');
        await client.exit(0);
      },
    };
    await using server = await startStandIn((_, response) => answer(response, 200, secret), options);
    for (let i = 0; i < 5; i++) expect(await outcome(server)).toBe('done');
    expect(tunnels).toBe(1);
    const running = await server.cluster.exec({ namespace: 'che', pod: 'p', command: ['x'] });
    expect(Buffer.concat(await Array.fromAsync(running.stdout)).toString()).toBe('through');
    expect((await running.ended).exitCode).toBe(0);
    expect(tunnels).toBeLessThanOrEqual(2);
  });
});

describe('kubeconfigs', () => {
  afterEach(() => vi.unstubAllEnvs());

  const config = (server: string, names: { cluster: string; context: string; current?: string }): string =>
    JSON.stringify({
      clusters: [{ name: names.cluster, cluster: { server } }],
      users: [{ name: 'user', user: { token: names.context } }],
      contexts: [{ name: names.context, context: { cluster: names.cluster, user: 'user', namespace: names.context } }],
      ...(names.current === undefined ? {} : { 'current-context': names.current }),
    });

  async function place(options: Parameters<typeof connectCluster>[0] = {}): Promise<unknown> {
    try {
      await using cluster = await connectCluster(options);
      return `${cluster.server} ${cluster.namespace}`;
    } catch (error) {
      expect(String(error)).not.toContain('canary');
      return (error as EngineError).code;
    }
  }

  it('may be several: the first that has a name wins, and those that are missing do not matter', async () => {
    const dir = folder();
    const files = ['one', 'missing', 'two'].map((name) => path.join(dir, name));
    await writeFile(files[0]!, config('https://one.invalid', { cluster: 'c', context: 'first' }));
    await writeFile(files[2]!, config('https://two.invalid', { cluster: 'c', context: 'second', current: 'second' }));
    vi.stubEnv('KUBECONFIG', files.join(path.delimiter));
    expect(await place()).toBe('https://one.invalid second');
    expect(await place({ context: 'first' })).toBe('https://one.invalid first');
    expect(await place({ kubeconfig: files[2] })).toBe('https://two.invalid second');
    expect(await place({ context: 'third' })).toBe('bad-request');
    vi.stubEnv('KUBECONFIG', [files[1], files[1]].join(path.delimiter));
    expect(await place()).toBe('not-found');
    vi.stubEnv('KUBECONFIG', files[1]!);
    expect(await place()).toBe('not-found');
  });

  it('is the one of the home folder, or there is none', async () => {
    const home = folder();
    vi.stubEnv('HOME', home);
    vi.stubEnv('KUBECONFIG', '');
    vi.stubEnv('KUBERNETES_SERVICE_HOST', undefined);
    expect(await place()).toBe('not-found');
    await mkdir(path.join(home, '.kube'));
    await writeFile(path.join(home, '.kube', 'config'), kubeconfig('https://home.invalid/'));
    expect(await place()).toBe('https://home.invalid che');
  });

  it('that cannot be read are errors that quote nothing', async () => {
    const broken = [
      'token: "canary',
      'canary',
      '- canary',
      '',
      '{"clusters":[{"name":"canary"}]}',
      '{"current-context":1}',
    ];
    for (const text of broken)
      expect([text, await place({ kubeconfig: await written('x', text) })]).toEqual([text, 'bad-request']);
    const noUrl = config('canary', { cluster: 'c', context: 'a', current: 'a' });
    expect(await place({ kubeconfig: await written('x', noUrl) })).toBe('bad-request');
    expect(await place({ kubeconfig: folder() })).toBe('io');
  });
});

it('costs nothing who only imports the package', async () => {
  const index = fileURLToPath(new URL('../../src/index.ts', import.meta.url));
  const program = `
    import { registerHooks } from 'node:module';
    const heavy = [];
    registerHooks({ resolve(name, context, next) {
      if (name.startsWith('@kubernetes/') || name === 'yaml') heavy.push(name);
      return next(name, context);
    } });
    await import(${JSON.stringify(index)});
    console.log(JSON.stringify(heavy));`;
  const words = ['--conditions=@restic-engine/source', '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  expect(stdout.trim()).toBe('[]');
});
