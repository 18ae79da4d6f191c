import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { S3_SCHEME } from '../../src/s3/scheme.ts';
import type { Environment } from '../../src/scheme.ts';
import { entry, fileOf, idOf, KEYS, page, refuse, startS3 } from './server.ts';
import type { Answer, Asked } from './server.ts';

const ok: Answer = (_, response) => void response.end();
const BYTES = [new TextEncoder().encode('some '), new Uint8Array(), new TextEncoder().encode('content')];
const FILE = fileOf('data', 'some content');
const CONFIG = { type: 'config', name: '' } as const;

const regionOf = ({ headers }: Asked | { headers: Asked['headers'] }): string | undefined =>
  /Credential=[^/]+\/\d+\/([^/]+)\/s3\/aws4_request/.exec(String(headers['authorization']))?.[1];

/** The code of the error that `work` rejects with, if it does. */
async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: { code: unknown }) => error.code,
  );
}

/** Opens a location as `openBackend` does, and looks at how the first request for its config is sent. */
async function sentFor(options: Record<string, string>, env: Environment, rest = 'bucket'): Promise<Asked> {
  await using server = await startS3((_, response) => refuse(response, 404, 'NoSuchKey'));
  const context = { options: new Map(Object.entries(options)), env, http: {}, bandwidth: undefined };
  await using backend = await S3_SCHEME.open(`http://127.0.0.1:${server.port}/${rest}`, context);
  await expect(backend.load(CONFIG)).rejects.toMatchObject({ code: 'not-found' });
  expect(server.asked).toHaveLength(1);
  return server.asked[0] as Asked;
}

describe('an upload', () => {
  it('is one request, signed with the hash of its body, that a server can check', async () => {
    await using server = await startS3(ok);
    await using backend = await server.backend({ prefix: 'a b/ö' });
    await backend.save(FILE, BYTES);
    expect(server.asked).toHaveLength(1);
    const { method, path, headers, body } = server.asked[0] as Asked;
    expect(`${method} ${path}`).toBe(`PUT /bucket/a b/ö/data/${FILE.name.slice(0, 2)}/${FILE.name}`);
    expect(body.toString()).toBe('some content');
    expect(headers).toMatchObject({
      'content-length': '12',
      'content-type': 'application/octet-stream',
      'x-amz-content-sha256': FILE.name,
      'user-agent': 'restic-engine',
    });
    const signed = /SignedHeaders=([^,]+)/.exec(String(headers['authorization']))?.[1]?.split(';') ?? [];
    const unsigned = Object.keys(headers).filter((name) => !signed.includes(name));
    expect(unsigned.sort()).toEqual(['authorization', 'connection', 'user-agent']);
    for (const name of Object.keys(headers)) expect(name).not.toMatch(/checksum|trailer|decoded|expect|transfer-enc/);
  });

  it('of the config is hashed: its name says nothing', async () => {
    await using server = await startS3(ok);
    await using backend = await server.backend();
    await backend.save(CONFIG, BYTES);
    const hash = createHash('sha256').update('some content').digest('hex');
    expect(server.asked[0]?.headers['x-amz-content-sha256']).toBe(hash);
  });

  it.each([
    ['STANDARD_IA', 'STANDARD_IA', 'STANDARD_IA'],
    ['NEW_CLASS', 'NEW_CLASS', 'NEW_CLASS'],
    ['GLACIER', 'GLACIER', undefined],
    ['DEEP_ARCHIVE', 'DEEP_ARCHIVE', undefined],
    [undefined, undefined, undefined],
  ])('of class %s', async (storageClass, ofPacks, ofOthers) => {
    await using server = await startS3(ok);
    await using backend = await server.backend(storageClass === undefined ? {} : { storageClass });
    for (const type of ['data', 'index', 'snapshot', 'key', 'lock', 'config'] as const) {
      await backend.save(fileOf(type, 'some content'), BYTES);
    }
    const classes = server.asked.map(({ headers }) => headers['x-amz-storage-class']);
    expect(classes).toEqual([ofPacks, ...Array<unknown>(5).fill(ofOthers)]);
  });

  it.each(['InvalidRequest', 'MissingContentMD5'])('has an MD5 from when a bucket asks for it (%s)', async (code) => {
    await using server = await startS3(({ headers }, response) => {
      if (headers['content-md5'] === undefined) refuse(response, 400, code);
      else response.end();
    });
    await using backend = await server.backend();
    await Promise.all([backend.save(FILE, BYTES), backend.save(FILE, BYTES)]);
    await backend.save(FILE, BYTES);
    const md5 = createHash('md5').update('some content').digest('base64');
    const sent = server.asked.map(({ headers }) => headers['content-md5']);
    expect(sent.filter((each) => each === undefined)).toHaveLength(2);
    expect(sent.slice(2)).toEqual([md5, md5, md5]);
    expect(server.asked.map(({ body }) => body.toString())).toEqual(Array(5).fill('some content'));
  });

  it('that is refused for another reason is not repeated', async () => {
    await using server = await startS3((_, response) => refuse(response, 400, 'InvalidRequest'));
    await using backend = await server.backend();
    for (let saves = 0; saves < 2; saves += 1) {
      await expect(backend.save(FILE, BYTES)).rejects.toMatchObject({ code: 'bad-request' });
    }
    expect(server.asked).toHaveLength(3);
  });

  it('that arrives damaged may be repeated; one that was wrong before may not', async () => {
    await using server = await startS3((_, response) => refuse(response, 400, 'XAmzContentSHA256Mismatch'));
    await using backend = await server.backend();
    await expect(backend.save(FILE, BYTES)).rejects.toMatchObject({ code: 'io' });
    await expect(backend.save({ type: 'data', name: idOf('1') }, BYTES)).rejects.toMatchObject({ code: 'corrupt' });
  });
});

describe('keys', () => {
  const pair = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'x' };

  it.each<[string, Environment, string, string | undefined]>([
    ['AWS', pair, 'AKIAENV', undefined],
    ['temporary ones of AWS', { ...pair, AWS_SESSION_TOKEN: 'tok' }, 'AKIAENV', 'tok'],
    ['MinIO', { MINIO_ACCESS_KEY: 'a:b', MINIO_SECRET_KEY: 'x', AWS_SESSION_TOKEN: 'tok' }, 'a:b', undefined],
    [
      'MinIO as root',
      { MINIO_ROOT_USER: 'root', MINIO_ROOT_PASSWORD: 'x', AWS_SECRET_ACCESS_KEY: '' },
      'root',
      undefined,
    ],
    ['both', { ...pair, MINIO_ACCESS_KEY: 'minio', MINIO_SECRET_KEY: 'x' }, 'AKIAENV', undefined],
  ])('come from the environment: %s', async (_, env, id, token) => {
    const { headers } = await sentFor({}, env);
    expect(headers['authorization']).toContain(`Credential=${id}/`);
    expect(headers['x-amz-security-token']).toBe(token);
  });

  it.each([
    [{ AWS_ACCESS_KEY_ID: 'only' }, 'AWS_SECRET_ACCESS_KEY'],
    [{ AWS_SECRET_ACCESS_KEY: 'only' }, 'AWS_ACCESS_KEY_ID'],
    [{ MINIO_ACCESS_KEY: 'only' }, 'MINIO_SECRET_KEY'],
  ])('of which one half is missing are a mistake: %j', async (env, missing) => {
    await expect(sentFor({}, env)).rejects.toMatchObject({ code: 'bad-request', context: { missing } });
  });

  it('are not used where requests are not to be signed', async () => {
    const { headers } = await sentFor({ 'unsafe-anonymous-auth': 'true' }, pair);
    expect(headers['authorization']).toBeUndefined();
  });

  it.each([
    ['once, if they last', undefined],
    ['again before they run out', 1000],
  ])('come from where the program says: %s', async (_, lastsMs) => {
    await using server = await startS3(ok);
    let given = 0;
    const credentials = async () => {
      given += 1;
      const keys = { accessKeyId: `key${given}`, secretAccessKey: 'x' };
      return lastsMs === undefined ? keys : { ...keys, expiration: new Date(Date.now() + lastsMs) };
    };
    await using backend = await server.backend({ credentials });
    await backend.save(FILE, BYTES);
    const first = given;
    await backend.save(FILE, BYTES);
    expect(given > first).toBe(lastsMs !== undefined);
    expect(server.asked[1]?.headers['authorization']).toContain(`Credential=key${given}/`);
  });

  it('that nobody has are unauthorized', async () => {
    await using server = await startS3(ok);
    const credentials = async (): Promise<never> => {
      throw Object.assign(new Error('secret detail'), { name: 'CredentialsProviderError' });
    };
    await using backend = await server.backend({ credentials });
    await expect(backend.load(CONFIG)).rejects.toMatchObject({ code: 'unauthorized' });
    await expect(backend.load(CONFIG)).rejects.not.toThrow('secret detail');
  });
});

describe('options', () => {
  const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };

  it.each<[Record<string, string>, Environment, string]>([
    [{}, {}, 'us-east-1'],
    [{}, { AWS_REGION: 'r2' }, 'r2'],
    [{}, { AWS_REGION: 'r2', AWS_DEFAULT_REGION: 'r1' }, 'r1'],
    [{ region: 'r0' }, { AWS_REGION: 'r2', AWS_DEFAULT_REGION: 'r1' }, 'r0'],
  ])('region: %j and %j', async (options, more, region) => {
    expect(regionOf(await sentFor(options, { ...env, ...more }))).toBe(region);
  });

  it.each([
    ['auto', '/bucket/p/config'],
    ['path', '/bucket/p/config'],
  ])('bucket-lookup %s', async (lookup, path) => {
    expect((await sentFor({ 'bucket-lookup': lookup }, env, 'bucket/p')).path).toBe(path);
  });

  it('bucket-lookup dns', async () => {
    await using proxy = await startS3((_, response) => refuse(response, 404, 'NoSuchKey'));
    const context = { env: { ...env, http_proxy: proxy.url }, http: {}, bandwidth: undefined };
    const open = (rest: string, options: Record<string, string>) =>
      S3_SCHEME.open(rest, { ...context, options: new Map(Object.entries(options)) });
    for (const [rest, options] of [
      ['http://store.test/bucket/p', { 'bucket-lookup': 'dns' }],
      ['http://s3.eu-west-3.amazonaws.com/bucket/p', {}],
    ] as const) {
      await using backend = await open(rest, options);
      await expect(backend.load(CONFIG)).rejects.toMatchObject({ code: 'not-found' });
    }
    expect(proxy.asked.map(({ path, headers }) => [headers.host, path])).toEqual([
      ['bucket.store.test', '/p/config'],
      ['bucket.s3.eu-west-3.amazonaws.com', '/p/config'],
    ]);
    expect(proxy.asked.map(regionOf)).toEqual(['us-east-1', 'eu-west-3']);
  });

  it.each([
    [{ 'bucket-lookup': 'ip' }, {}, 'bad-request'],
    [{ 'unsafe-anonymous-auth': 'yes' }, {}, 'bad-request'],
    [{ 'list-objects-v1': '2' }, {}, 'bad-request'],
    [{ connections: '0' }, {}, 'bad-request'],
    [{ 'enable-restore': 'true' }, {}, 'unsupported'],
    [{ layout: 's3legacy' }, {}, 'unsupported'],
    [{}, { RESTIC_AWS_ASSUME_ROLE_ARN: 'arn:aws:iam::1:role/x' }, 'unsupported'],
  ])('%j with %j is refused: %s', async (options, more, code) => {
    await expect(sentFor(options, { ...env, ...more })).rejects.toMatchObject({ code });
  });

  it('that mean nothing here change nothing', async () => {
    const options = { retries: '3', 'restore-days': '1', 'enable-restore': 'false', layout: 'default' };
    expect((await sentFor(options, env)).path).toBe('/bucket/config');
  });
});

describe('the region', () => {
  const wrong = 'AuthorizationHeaderMalformed';

  it('is the one the server names, from then on', async () => {
    await using server = await startS3((asked, response) => {
      if (regionOf(asked) !== 'eu-north-1') refuse(response, 400, wrong, '<Region>eu-north-1</Region>');
      else response.end(page(entry(`keys/${idOf('ab')}`)));
    });
    await using backend = await server.backend({ region: 'eu-south-1' });
    const files = await Array.fromAsync(backend.list('key'));
    expect(files).toEqual([{ name: idOf('ab'), size: 5 }]);
    await Array.fromAsync(backend.list('key'));
    expect(server.asked.map(regionOf)).toEqual(['eu-south-1', 'eu-north-1', 'eu-north-1']);
  });

  it('is asked for where an answer cannot name it', async () => {
    await using server = await startS3((asked, response) => {
      if (asked.query.has('location')) {
        response.end('<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">EU</LocationConstraint>');
      } else if (regionOf(asked) !== 'eu-west-1') response.writeHead(400).end();
      else response.writeHead(200, { 'content-length': '7' }).end();
    });
    await using backend = await server.backend();
    expect(await backend.stat(FILE)).toEqual({ size: 7 });
    expect(server.asked.map(({ method }) => method)).toEqual(['HEAD', 'GET', 'HEAD']);
  });

  it('is corrected once only', async () => {
    await using server = await startS3((asked, response) => {
      refuse(response, 400, wrong, `<Region>${regionOf(asked)}-x</Region>`);
    });
    await using backend = await server.backend();
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'bad-request' });
    expect(server.asked).toHaveLength(2);
  });

  it.each(['evil.example', 'a/b', 'a@b', 'x:1', ''])('is no way to another server: %j', async (region) => {
    await using server = await startS3((_, response) => refuse(response, 400, wrong, `<Region>${region}</Region>`));
    await using backend = await server.backend({ region: 'r' });
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'bad-request' });
    expect(server.asked).toHaveLength(1);
  });
});

describe('a bucket', () => {
  it.each([
    [200, 0, undefined, ['HEAD']],
    [403, 0, undefined, ['HEAD']],
    [404, 200, undefined, ['HEAD', 'PUT']],
    [404, 403, 'denied', ['HEAD', 'PUT']],
    [500, 0, 'io', ['HEAD']],
  ] as const)('that is looked for (%i) is made (%i): %s', async (seen, made, code, methods) => {
    await using server = await startS3(({ method }, response) => {
      if (method === 'HEAD') response.writeHead(seen).end();
      else if (made === 200) response.end();
      else refuse(response, made, 'AccessDenied');
    });
    await using backend = await server.backend();
    expect(await codeOf(backend.create())).toBe(code);
    expect(server.asked.map(({ method }) => method)).toEqual(methods);
    expect(server.asked.at(-1)?.path).toMatch(/^\/bucket\/?$/);
  });

  it.each([
    ['BucketAlreadyOwnedByYou', undefined],
    ['BucketAlreadyExists', 'already-exists'],
  ])('that somebody else makes meanwhile: %s', async (answer, code) => {
    await using server = await startS3(({ method }, response) => {
      if (method === 'HEAD') response.writeHead(404).end();
      else refuse(response, 409, answer);
    });
    await using backend = await server.backend();
    expect(await codeOf(backend.create())).toBe(code);
  });

  it('that is not there lists nothing, and says so when it is read', async () => {
    await using server = await startS3((_, response) => refuse(response, 404, 'NoSuchBucket'));
    await using backend = await server.backend();
    expect(await Array.fromAsync(backend.list('key'))).toEqual([]);
    await expect(backend.load(CONFIG)).rejects.toThrow('there is no such bucket');
    await expect(backend.remove(FILE)).rejects.toMatchObject({ code: 'not-found' });
  });
});

it('shows no key in its location', async () => {
  await using server = await startS3(ok);
  await using backend = await server.backend({ prefix: 'p' });
  expect(backend.location).toBe(`s3:http://127.0.0.1:${server.port}/bucket/p`);
  expect(JSON.stringify(backend)).not.toContain(KEYS.secretAccessKey);
});
