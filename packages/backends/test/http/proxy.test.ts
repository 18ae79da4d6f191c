import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { openHttpClient } from '../../src/http/client.ts';
import { proxyFrom } from '../../src/http/proxy.ts';
import type { Environment } from '../../src/scheme.ts';
import { fixture, startHttp, startTcp } from './servers.ts';

/** The proxy's host for `url`. */
function hostOf(env: Environment, url: string): string | undefined {
  return proxyFrom(env)(new URL(url))?.host;
}

describe('the proxy of a request', () => {
  it('is that of its scheme, in capitals or not', () => {
    const env = { HTTP_PROXY: 'http://one:1', https_proxy: 'two:2' };
    expect(hostOf(env, 'http://a.example/')).toBe('one:1');
    expect(hostOf(env, 'https://a.example/')).toBe('two:2');
    expect(hostOf({ HTTP_PROXY: 'one:1' }, 'https://a.example/')).toBeUndefined();
    expect(hostOf({ HTTP_PROXY: '' }, 'http://a.example/')).toBeUndefined();
    expect(hostOf({ HTTPS_PROXY: 'big:1', https_proxy: 'small:1' }, 'https://a.example/')).toBe('big:1');
  });

  it('is none for this machine', () => {
    const env = { HTTP_PROXY: 'http://one:1' };
    for (const host of ['localhost', 'LOCALHOST.', '127.0.0.1', '127.9.9.9', '[::1]', '[0:0:0:0:0:0:0:1]']) {
      expect(hostOf(env, `http://${host}:8000/`), host).toBeUndefined();
    }
    expect(hostOf(env, 'http://localhost.example/')).toBe('one:1');
    expect(hostOf(env, 'http://128.0.0.1/')).toBe('one:1');
  });

  for (const [noProxy, url, proxied] of [
    ['*', 'http://a.example/', false],
    ['b.example, *', 'http://a.example/', false],
    ['a.example', 'http://a.example/', false],
    ['A.Example', 'http://a.example./', false],
    ['a.example', 'http://x.a.example/', false],
    ['a.example', 'http://xa.example/', true],
    ['.a.example', 'http://a.example/', true],
    ['.a.example', 'http://x.a.example/', false],
    ['*.a.example', 'http://x.a.example/', false],
    ['*.a.example', 'http://a.example/', true],
    ['a.example:80', 'http://a.example/', false],
    ['a.example:81', 'http://a.example/', true],
    ['a.example:81', 'http://a.example:81/', false],
    ['10.1.2.3', 'http://10.1.2.3/', false],
    ['10.1.2.3:81', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://10.1.2.3/', false],
    ['10.0.0.0/8', 'http://11.1.2.3/', true],
    ['10.0.0.0/99', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://a10.example/', true],
    ['2001:db8::/32', 'http://[2001:db8::5]/', false],
    ['2001:db8::5', 'http://[2001:db8::5]/', false],
    ['[2001:db8::5]:80', 'http://[2001:db8::5]/', false],
    ['[2001:db8::5]:81', 'http://[2001:db8::5]/', true],
    ['b.example,,', 'http://a.example/', true],
  ] as const) {
    it(`is ${proxied ? 'used' : 'left out'} for ${url} with NO_PROXY=${noProxy}`, () => {
      expect(hostOf({ HTTP_PROXY: 'one:1', NO_PROXY: noProxy }, url)).toBe(proxied ? 'one:1' : undefined);
    });
  }

  it('is a URL, and a wrong one is not told', () => {
    for (const value of ['ftp://user:secret@one', 'http://user:secret@:x', 'user:secret@ one', 'one:se%cret@two']) {
      const env = { HTTPS_PROXY: value };
      expect(() => proxyFrom(env)).toThrow(expect.objectContaining({ code: 'bad-request' }));
      try {
        proxyFrom(env);
      } catch (error) {
        expect(inspect(error, { depth: null })).not.toMatch(/secret|se%cret/);
      }
    }
  });
});

/** A proxy that sends everything to one port of this machine, whatever host is asked for. */
async function startProxy(port: number) {
  const seen: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
    response.end('from the proxy');
  });
  server.on('connection', (socket: Socket) => void sockets.push(socket));
  server.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
    const onward = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    onward.pipe(socket).pipe(onward);
    sockets.push(onward);
    for (const each of [onward, socket]) each.on('error', () => onward.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    seen,
    url: `http://user:se%40cret@127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A SOCKS proxy (RFC 1928, no authentication) that connects to `port` on this machine, whatever it is asked for. */
function startSocks(port: number) {
  return startTcp((socket) => {
    socket.once('data', ([version]: Buffer) => {
      // Anything else is no SOCKS.
      if (version !== 5) return void socket.destroy();
      socket.write(Buffer.from([5, 0]));
      socket.once('data', () => {
        const onward = connect(port, '127.0.0.1', () => {
          socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 80]));
          onward.pipe(socket).pipe(onward);
        });
        onward.on('error', () => socket.destroy());
        socket.on('close', () => onward.destroy());
      });
    });
  });
}

describe('requests through a proxy', () => {
  const credentials = `Basic ${Buffer.from('user:se@cret').toString('base64')}`;

  it('are handed to it in the clear for http', async () => {
    await using proxy = await startProxy(1);
    await using client = await openHttpClient({ connections: 1, env: { HTTP_PROXY: proxy.url } });
    const url = new URL('http://some.invalid/path?query');
    const response = await client.request({ method: 'GET', url, headers: {} });
    expect(Buffer.from(await response.body.read(100)).toString()).toBe('from the proxy');
    expect(proxy.seen).toEqual([`GET http://some.invalid/path?query ${credentials}`]);
  });

  it('pass it unread for https, and the certificate of the server counts', async () => {
    const tls = { cert: fixture('other-host'), key: fixture('other-host') };
    await using server = await startHttp((_, response) => void response.end('from the server'), tls);
    await using proxy = await startProxy(server.port);
    const options = { connections: 1, env: { HTTPS_PROXY: proxy.url }, caCertificates: [fixture('ca')] };
    await using client = await openHttpClient(options);
    const url = new URL('https://other.invalid/path');
    const response = await client.request({ method: 'GET', url, headers: {} });
    expect(Buffer.from(await response.body.read(100)).toString()).toBe('from the server');
    expect(proxy.seen).toEqual([`CONNECT other.invalid:443 ${credentials}`]);
    const wrong = client.request({ method: 'GET', url: new URL('https://another.invalid/'), headers: {} });
    await expect(wrong).rejects.toMatchObject({ code: 'untrusted' });
  });

  it.each(['http', 'https'])('reach it by SOCKS for %s, too', async (scheme) => {
    const tls = { cert: fixture('other-host'), key: fixture('other-host') };
    const answer = (_: unknown, response: ServerResponse): void => void response.end('from the server');
    await using server = await startHttp(answer, scheme === 'https' ? tls : undefined);
    await using proxy = await startSocks(server.port);
    const env = { [`${scheme}_proxy`]: proxy.url.replace('http', 'socks5') };
    await using client = await openHttpClient({ connections: 1, env, caCertificates: [fixture('ca')] });
    const url = new URL(`${scheme}://other.invalid/path`);
    const response = await client.request({ method: 'GET', url, headers: {} });
    expect(Buffer.from(await response.body.read(100)).toString()).toBe('from the server');
  });

  it.each(['http', 'https', 'socks5'])('are given up when nothing comes through it (%s)', async (way) => {
    await using silent = await startTcp((socket) => void socket.resume());
    await using socks = await startSocks(silent.port);
    const scheme = way === 'https' ? 'https' : 'http';
    const env = { [`${scheme}_proxy`]: way === 'socks5' ? socks.url.replace('http', 'socks5') : silent.url };
    await using client = await openHttpClient({ connections: 1, env, stuckRequestMs: 300 });
    const start = performance.now();
    const url = new URL(`${scheme}://some.invalid/`);
    await expect(client.request({ method: 'GET', url, headers: {} })).rejects.toMatchObject({ code: 'io' });
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  for (const [status, code] of [
    [407, 'unauthorized'],
    [403, 'denied'],
    [502, 'io'],
  ] as const) {
    it(`fail with ${code} when it says ${status}`, async () => {
      await using proxy = await startTcp((socket) => {
        socket.once('data', () => socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`));
      });
      const env = { HTTPS_PROXY: proxy.url.replace('//', '//user:secret@') };
      await using client = await openHttpClient({ connections: 1, env });
      const sending = client.request({ method: 'GET', url: new URL('https://some.invalid/'), headers: {} });
      const error: unknown = await sending.catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code });
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain('secret');
    });
  }
});
