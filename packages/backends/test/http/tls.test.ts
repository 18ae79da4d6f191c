import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, promisify } from 'node:util';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openHttpClient } from '../../src/http/client.ts';
import { transportError } from '../../src/http/errors.ts';
import type { HttpOptions } from '../../src/http/options.ts';
import { fixture, startHttp } from './servers.ts';

const certificate = (name: string) => ({ cert: fixture(name), key: fixture(name) });

/** The status of a request. */
async function ask(url: string, options: HttpOptions): Promise<number> {
  await using client = await openHttpClient({ connections: 1, env: {}, ...options });
  const { status, body } = await client.request({ method: 'GET', url: new URL(url), headers: {} });
  await body.discard();
  return status;
}

/** The status, or the code of the error, of a request. */
async function outcome(url: string, options: HttpOptions): Promise<unknown> {
  return ask(url, options).catch((error: unknown) => (error as { code: unknown }).code);
}

describe('trust in a server', () => {
  it('needs its certificate authority', async () => {
    await using server = await startHttp((_, response) => void response.end(), certificate('server'));
    expect(await outcome(server.url, {})).toBe('untrusted');
    expect(await outcome(server.url, { caCertificates: [fixture('other-ca')] })).toBe('untrusted');
    expect(await outcome(server.url, { caCertificates: [fixture('ca')] })).toBe(200);
    expect(await outcome(server.url, { caCertificates: [fixture('other-ca'), fixture('ca')] })).toBe(200);
    expect(await outcome(server.url, { caCertificates: [`${fixture('other-ca')}\n${fixture('ca')}`] })).toBe(200);
  });

  it('needs its name', async () => {
    await using server = await startHttp((_, response) => void response.end(), certificate('other-host'));
    expect(await outcome(server.url, { caCertificates: [fixture('ca')] })).toBe('untrusted');
  });

  it('can be given up', async () => {
    await using server = await startHttp((_, response) => void response.end(), certificate('other-host'));
    expect(await outcome(server.url, { insecureTls: true })).toBe(200);
  });

  it('is not given to one without TLS', async () => {
    await using server = await startHttp((_, response) => void response.end());
    expect(await outcome(server.url.replace('http:', 'https:'), {})).toBe('untrusted');
  });

  it('is won as the message says', async () => {
    await using server = await startHttp((_, response) => void response.end(), certificate('server'));
    await expect(ask(server.url, {})).rejects.toThrow(/--cacert \(caCertificates\)$/);
    await expect(ask(server.url.replace('https:', 'http:'), {})).rejects.toThrow(/is it https: rather than http:\?$/);
  });

  it('is not missed where a connection breaks that has had an answer', async () => {
    let answered = 0;
    await using server = await startHttp((_, response) => {
      answered += 1;
      if (answered === 1) response.end();
      else response.destroy();
    });
    await using client = await openHttpClient({ connections: 1, env: {} });
    const request = { method: 'GET', url: new URL(server.url), headers: {} } as const;
    await (await client.request(request)).body.discard();
    const failure: unknown = await client.request(request).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'io', message: expect.not.stringContaining('https') });
  });

  it('comes from the system, too', async () => {
    await using server = await startHttp((_, response) => void response.end(), certificate('server'));
    const program = fileURLToPath(new URL('system-trust-program.mjs', import.meta.url));
    const run = async (authority: string): Promise<string> => {
      const file = fileURLToPath(new URL(`fixtures/${authority}.pem`, import.meta.url));
      const env = { ...process.env, SSL_CERT_FILE: file };
      return (await promisify(execFile)(process.execPath, [...process.execArgv, program, server.url], { env })).stdout;
    };
    expect(await Promise.all([run('ca'), run('other-ca')])).toEqual(['200 200', 'untrusted untrusted']);
  });
});

describe('a client certificate', () => {
  it('is shown to a server that asks for one', async () => {
    const tls = { ...certificate('server'), ca: fixture('ca'), requestCert: true, rejectUnauthorized: true };
    await using server = await startHttp((_, response) => void response.end(), tls);
    const caCertificates = [fixture('ca')];
    expect(await outcome(server.url, { caCertificates, clientCertificate: fixture('client') })).toBe(200);
    // Node's server hangs up without a word.
    expect(await outcome(server.url, { caCertificates })).toBe('io');
    expect(await outcome(server.url, { insecureTls: true, clientCertificate: fixture('client') })).toBe(200);
  });

  // As OpenSSL's own server makes them, for TLS 1.3 and 1.2.
  for (const code of [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    'ERR_SSL_SSL/TLS_ALERT_UNSUPPORTED_CERTIFICATE',
  ]) {
    it(`that is asked for in vain is unauthorized (${code})`, () => {
      const alert = Object.assign(new Error('SSL alert'), { code });
      expect(transportError(alert, new URL('https://some.example/'))).toMatchObject({ code: 'unauthorized' });
    });
  }

  for (const [what, clientCertificate] of [
    ['no key', fixture('ca')],
    ['two keys', fixture('client') + fixture('server')],
    ['no certificate', fixture('client').replace(/-----BEGIN CERT[\s\S]*END CERTIFICATE-----/, '')],
    ['a key of another', fixture('ca') + fixture('client').replace(/-----BEGIN CERT[\s\S]*END CERTIFICATE-----/, '')],
    ['a broken key', fixture('client').replace(/(BEGIN PRIVATE KEY-----\n.{10}).{10}/, '$1')],
  ] as const) {
    it(`with ${what} is refused at once`, async () => {
      const opening: unknown = await openHttpClient({ connections: 1, env: {}, clientCertificate }).catch(
        (error: unknown) => error,
      );
      expect(opening).toMatchObject({ code: 'bad-request' });
      expect(inspect(opening, { depth: null, showHidden: true })).not.toContain('BEGIN');
    });
  }

  it('and authorities must be certificates', async () => {
    const broken = fixture('ca').replace(/(BEGIN CERTIFICATE-----\n.{10}).{10}/, '$1');
    for (const caCertificates of [[''], ['no PEM'], [fixture('ca'), broken]]) {
      const opening = openHttpClient({ connections: 1, env: {}, caCertificates });
      await expect(opening).rejects.toMatchObject({ code: 'bad-request' });
    }
  });
});

describe('a unix socket', () => {
  it('takes the requests, whatever host they name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'restic-engine-'));
    const socketPath = join(folder, 'socket');
    const server = createServer((request, response) => void response.end(request.url));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    const client = await openHttpClient({ connections: 1, socketPath, env: { HTTP_PROXY: 'http://127.0.0.1:1' } });
    const response = await client.request({ method: 'GET', url: new URL('http://some.invalid/path'), headers: {} });
    expect(Buffer.from(await response.body.read(100)).toString()).toBe('/path');
    await client[Symbol.asyncDispose]();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });
});

// Over TLS the news that the last bytes have gone can be later than the answer to them.
it('uploads that are answered at once keep their connections, and are not taken for such that were not sent', async () => {
  const program = fileURLToPath(new URL('upload-server-program.mjs', import.meta.url));
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  const [port] = await once(child.stdout, 'data');
  await using client = await openHttpClient({ connections: 2, env: {}, caCertificates: [fixture('ca')] });
  const url = new URL(`https://127.0.0.1:${String(port)}/`);
  const lengths = Array.from({ length: 200 }, (_, index) => 70_000 + (index % 8) * 97_000 + index);
  const most = { connections: 0 };
  const upload = async (length: number): Promise<number> => {
    const { body } = await client.request({ method: 'POST', url, headers: {}, body: [new Uint8Array(length)] });
    const [bytes, connections] = Buffer.from(await body.read(100))
      .toString()
      .split(' ')
      .map(Number);
    most.connections = Math.max(most.connections, connections ?? 0);
    return bytes ?? 0;
  };
  expect(await Promise.all(lengths.map(upload))).toEqual(lengths);
  // Two for uploads and four more.
  expect(most.connections).toBe(6);
});
