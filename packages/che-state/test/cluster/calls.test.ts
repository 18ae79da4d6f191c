import { EngineError } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { CONFIG_MAP, SECRET } from '../../src/objects/kinds.ts';
import type { KubeObject } from '../../src/objects/object.ts';
import { answer, startStandIn, statusOf } from './stand-in.ts';

const ref = { kind: SECRET, namespace: 'che', name: 'tls' };
const secret: KubeObject = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'tls', namespace: 'che' } };

/** What the API serves in its core group. */
const CORE = { kind: 'APIResourceList', resources: [{ name: 'secrets', kind: 'Secret', namespaced: true }] };

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'done',
    (error: unknown) => (error instanceof EngineError ? error.code : error),
  );

describe.concurrent('a call that fails', () => {
  it('is repeated when that may help', async () => {
    const failures = [
      (response: Parameters<typeof answer>[0]) => answer(response, 503, 'no body of ours'),
      (response: Parameters<typeof answer>[0]) => answer(response, 500, statusOf(500, 'InternalError', 'etcd')),
      (response: Parameters<typeof answer>[0]) => response.destroy(),
      (response: Parameters<typeof answer>[0]) => {
        response.writeHead(200, { 'Content-Length': 1000 }).write('{"metadata":');
        setTimeout(() => response.destroy(), 20);
      },
    ];
    let tries = 0;
    await using server = await startStandIn((_, response) => {
      const fail = failures[tries++];
      if (fail === undefined) answer(response, 200, secret);
      else fail(response);
    });
    const started = performance.now();
    expect(await server.cluster.get(ref)).toEqual(secret);
    expect(tries).toBe(5);
    // 250 + 500 + 1000 + 2000 milliseconds
    expect(performance.now() - started).toBeGreaterThan(3700);
  });

  it('is repeated when the API has asked for, and not sooner', async () => {
    const at: number[] = [];
    await using server = await startStandIn((_, response) => {
      at.push(performance.now());
      if (at.length > 1) answer(response, 201, secret);
      else answer(response, 429, statusOf(429, 'TooManyRequests'), { 'Retry-After': '1' });
    });
    await server.cluster.create(SECRET, secret);
    expect(at).toHaveLength(2);
    expect(at[1]! - at[0]!).toBeGreaterThan(950);
  });

  it('is not kept waiting for as long as an API likes', async () => {
    await using server = await startStandIn((_, response) =>
      answer(response, 429, statusOf(429, 'TooManyRequests'), { 'Retry-After': '3600' }),
    );
    await expect(server.cluster.get(ref)).rejects.toMatchObject({
      code: 'throttled',
      context: { retryAfterMs: 3_600_000 },
    });
    expect(server.requests).toHaveLength(1);
  });

  it('is not repeated when it may have been done and would be done twice', async () => {
    for (const fail of ['cut', 500] as const) {
      await using server = await startStandIn((_, response) => {
        if (fail === 'cut') response.destroy();
        else answer(response, fail, statusOf(fail, 'InternalError'));
      });
      expect(await codeOf(server.cluster.create(SECRET, secret))).toBe('io');
      expect(await codeOf(server.cluster.replace(SECRET, secret))).toBe('io');
      expect(server.requests).toEqual([
        'POST /api/v1/namespaces/che/secrets?fieldManager=che-backup',
        'PUT /api/v1/namespaces/che/secrets/tls?fieldManager=che-backup',
      ]);
    }
  });

  it('has removed what is gone when it is repeated', async () => {
    let tries = 0;
    await using server = await startStandIn((_, response) => {
      if (tries++ === 0) response.destroy();
      else answer(response, 404, statusOf(404, 'NotFound', '', { details: { name: 'tls' } }));
    });
    expect(await server.cluster.remove(ref)).toBe(true);
    expect(await server.cluster.remove(ref)).toBe(false);
  });

  it('ends with the code of what the API says, at once where a repeat is in vain', async () => {
    const terminating = { details: { causes: [{ reason: 'NamespaceTerminating', message: 'x', field: 'y' }] } };
    const cases: readonly (readonly [number, object, string])[] = [
      [400, statusOf(400, 'BadRequest'), 'bad-request'],
      [401, statusOf(401, 'Unauthorized'), 'unauthorized'],
      [403, statusOf(403, 'Forbidden'), 'denied'],
      [403, statusOf(403, 'Forbidden', '', terminating), 'conflict'],
      [404, statusOf(404, 'NotFound', '', { details: { name: 'che', kind: 'namespaces' } }), 'not-found'],
      [405, {}, 'bad-request'],
      [409, statusOf(409, 'AlreadyExists'), 'already-exists'],
      [409, statusOf(409, 'Conflict'), 'conflict'],
      [413, {}, 'too-large'],
      [415, statusOf(415, 'UnsupportedMediaType'), 'bad-request'],
      [422, statusOf(422, 'Invalid'), 'bad-request'],
      [302, {}, 'io'],
    ];
    for (const [status, json, code] of cases) {
      await using server = await startStandIn((_, response) => answer(response, status, json));
      expect([status, await codeOf(server.cluster.apply(SECRET, secret))]).toEqual([status, code]);
      expect(server.requests).toHaveLength(1);
    }
  });

  it('ends when the signal fires, while it waits and while nothing is answered', async () => {
    for (const handler of ['busy', 'silent'] as const) {
      await using server = await startStandIn((_, response) => {
        if (handler === 'busy') answer(response, 503, {}, { 'Retry-After': '30' });
      });
      const started = performance.now();
      const signal = AbortSignal.timeout(100);
      expect(await codeOf(server.cluster.get(ref, { signal }))).toBe('aborted');
      expect(performance.now() - started).toBeLessThan(5000);
    }
  });

  it('is repeated while nobody listens, and says in the end that nobody does', async () => {
    const server = await startStandIn(() => undefined);
    await server[Symbol.asyncDispose]();
    const started = performance.now();
    expect(await codeOf(server.cluster.create(SECRET, secret))).toBe('io');
    expect(performance.now() - started).toBeGreaterThan(7700);
  });
});

describe('what is not there', () => {
  it('is believed of the API only', async () => {
    // A proxy, or a wrong path, knows of nothing.
    await using other = await startStandIn((_, response) => response.writeHead(404).end('404 page not found'));
    expect(await codeOf(other.cluster.get(ref))).toBe('not-found');
    expect(await codeOf(other.cluster.remove(ref))).toBe('not-found');
    expect(await codeOf(Array.fromAsync(other.cluster.list(SECRET)))).toBe('not-found');
    expect(await codeOf(other.cluster.serves(SECRET))).toBe('not-found');

    await using friendly = await startStandIn((request, response) =>
      answer(response, request.url === '/apis' ? 200 : 404, {}),
    );
    expect(await codeOf(friendly.cluster.get(ref))).toBe('not-found');

    await using served = await startStandIn((request, response) => {
      if (request.url === '/api/v1') answer(response, 200, CORE);
      else response.writeHead(404).end('404 page not found');
    });
    expect(await codeOf(served.cluster.get(ref))).toBe('not-found');
    expect(await codeOf(Array.fromAsync(served.cluster.list(SECRET)))).toBe('not-found');

    await using unserved = await startStandIn((request, response) => {
      if (request.url === '/apis') answer(response, 200, { kind: 'APIGroupList', groups: [] });
      else response.writeHead(404).end('404 page not found');
    });
    expect(await unserved.cluster.get(ref)).toBeUndefined();
    expect(await unserved.cluster.remove(ref)).toBe(false);
    expect(await Array.fromAsync(unserved.cluster.list(SECRET))).toEqual([]);
    expect(await unserved.cluster.serves(SECRET)).toBe(false);
  });

  it('is asked for again, what is there for some time not', async () => {
    let served = false;
    await using server = await startStandIn((_, response) =>
      answer(response, 200, served ? CORE : { kind: 'APIResourceList', resources: [] }),
    );
    expect(await server.cluster.serves(SECRET)).toBe(false);
    served = true;
    expect(await server.cluster.serves(SECRET)).toBe(true);
    expect(await server.cluster.serves(SECRET)).toBe(true);
    expect(server.requests).toHaveLength(2);
  });
});

describe('an answer', () => {
  it('that is no object, list or JSON is an error', async () => {
    for (const body of ['<html>', '[]', 'null', '{"metadata":{}}', '{"items":1,"metadata":{}}', '{"items":[]}']) {
      await using server = await startStandIn((_, response) => response.writeHead(200).end(body));
      // JSON that is none may be the doing of a proxy, and is asked for again.
      const signal = AbortSignal.timeout(300);
      const code = body === '<html>' ? 'aborted' : 'io';
      expect([body, await codeOf(server.cluster.get(ref, { signal }))]).toEqual([body, code]);
      expect([body, await codeOf(Array.fromAsync(server.cluster.list(SECRET, { signal })))]).toEqual([body, code]);
    }
  });

  it('that is too long is not read to its end', async () => {
    let sent = 0;
    await using server = await startStandIn((_, response) => {
      const more = (): void => {
        while (!response.destroyed && sent < 200 * 1024 * 1024) {
          sent += 1024 * 1024;
          if (!response.write(' '.repeat(1024 * 1024))) return void response.once('drain', more);
        }
      };
      response.writeHead(200);
      more();
    });
    expect(await codeOf(server.cluster.get(ref))).toBe('too-large');
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it('may come over few connections', async () => {
    await using server = await startStandIn((_, response) => setTimeout(() => answer(response, 200, secret), 5));
    await Promise.all(Array.from({ length: 500 }, () => server.cluster.apply(SECRET, secret)));
    expect(server.connections).toBeLessThanOrEqual(64);
    expect(server.requests).toHaveLength(500);
  });

  it('is looked for below the path of the server, under names that lead nowhere else', async () => {
    await using server = await startStandIn((_, response) => answer(response, 200, secret), {
      prefix: '/k8s/clusters/c-1/',
    });
    await server.cluster.get({ ...ref, name: 'a/../b?c' });
    expect(server.requests).toEqual(['GET /k8s/clusters/c-1/api/v1/namespaces/che/secrets/a%2F..%2Fb%3Fc']);
    expect(server.cluster.server).toBe(server.url.slice(0, -1));
    expect(server.cluster.namespace).toBe('che');
    await expect(server.cluster.get({ ...ref, name: '..' })).rejects.toThrow(TypeError);
    await expect(server.cluster.get({ ...ref, namespace: undefined })).rejects.toThrow(TypeError);
  });

  it('still comes when the same cluster, seen as another user, is disposed of', async () => {
    await using server = await startStandIn((_, response) => setTimeout(() => answer(response, 200, secret), 200));
    const call = server.cluster.replace(SECRET, secret);
    await server.cluster.as({ name: 'someone' })[Symbol.asyncDispose]();
    expect(await codeOf(call)).toBe('done');
  });

  it('of a server-side apply comes to what asked in its way', async () => {
    const seen: unknown[] = [];
    await using server = await startStandIn((request, response) => {
      seen.push([request.url, request.headers['content-type'], request.headers['impersonate-user']]);
      seen.push(request.headersDistinct['impersonate-group']);
      answer(response, 200, secret);
    });
    const user = server.cluster.as({ name: 'someone', groups: ['a', 'b'] });
    await user.apply(SECRET, secret, { fieldManager: 'me', dryRun: true });
    await server.cluster.merge({ kind: CONFIG_MAP, namespace: 'x', name: 'y' }, {}, { subresource: 'status' });
    const path = '/api/v1/namespaces/che/secrets/tls?fieldManager=me&force=true&dryRun=All';
    expect(seen).toEqual([
      [path, 'application/apply-patch+yaml', 'someone'],
      ['a', 'b'],
      ['/api/v1/namespaces/x/configmaps/y/status?fieldManager=che-backup', 'application/merge-patch+json', undefined],
      undefined,
    ]);
  });
});
