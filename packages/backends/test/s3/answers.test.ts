import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { EngineError } from '@restic-engine/repo-format';
import type { Backend, Code } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { entry, fileOf, idOf, KEYS, page, refuse, startS3 } from './server.ts';
import type { Answer } from './server.ts';

const FILE = fileOf('data', 'some content');
const BYTES = new TextEncoder().encode('some content');
const FOLDER = `data/${FILE.name.slice(0, 2)}`;

/** What `work` rejects with against a server that always answers so. */
async function failure(answer: Answer, work: (backend: Backend) => Promise<unknown>): Promise<EngineError> {
  await using server = await startS3(answer);
  await using backend = await server.backend({ http: { stuckRequestMs: 2000 } });
  const error = await work(backend).then(
    () => expect.fail('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!EngineError.is(error)) throw error;
  const told = `${error.stack}${JSON.stringify(error)}${String(error.cause)}`;
  for (const secret of [KEYS.secretAccessKey, KEYS.accessKeyId, 'Signature=', 'AWS4'])
    expect(told).not.toContain(secret);
  expect(Object.keys(error)).not.toContain('$metadata');
  return error;
}

const load = (backend: Backend): Promise<unknown> => backend.load(FILE);
const loadRange = (backend: Backend): Promise<unknown> => backend.load(FILE, { offset: 5, length: 3 });
const listData = (backend: Backend): Promise<unknown> => Array.fromAsync(backend.list('data'));
const save = (backend: Backend): Promise<unknown> => backend.save(FILE, [BYTES]);

describe('a refusal', () => {
  it.each<[number, string, Code]>([
    [403, 'AccessDenied', 'denied'],
    [403, 'AllAccessDisabled', 'denied'],
    [403, 'InvalidObjectState', 'denied'],
    [405, 'MethodNotAllowed', 'denied'],
    [403, 'InvalidAccessKeyId', 'unauthorized'],
    [403, 'SignatureDoesNotMatch', 'unauthorized'],
    [400, 'ExpiredToken', 'unauthorized'],
    [400, 'InvalidToken', 'unauthorized'],
    [401, 'Whatever', 'unauthorized'],
    [403, 'RequestTimeTooSkewed', 'clock-skew'],
    [404, 'NoSuchKey', 'not-found'],
    [404, 'NoSuchBucket', 'not-found'],
    [416, 'InvalidRange', 'out-of-range'],
    [503, 'SlowDown', 'throttled'],
    [503, 'ServiceUnavailable', 'throttled'],
    [429, 'TooManyRequests', 'throttled'],
    [503, 'RequestLimitExceeded', 'throttled'],
    [403, 'QuotaExceeded', 'no-space'],
    [507, 'XMinioStorageFull', 'no-space'],
    [400, 'EntityTooLarge', 'too-large'],
    [501, 'NotImplemented', 'unsupported'],
    [500, 'InternalError', 'io'],
    [502, 'Whatever', 'io'],
    [400, 'RequestTimeout', 'io'],
    [400, 'IncompleteBody', 'io'],
    [409, 'OperationAborted', 'io'],
    [400, 'InvalidArgument', 'bad-request'],
    [418, 'Whatever', 'bad-request'],
  ])('%i %s is %s', async (status, s3Code, code) => {
    const error = await failure((_, response) => refuse(response, status, s3Code), load);
    expect(error).toMatchObject({
      code,
      context: { status, s3Code, operation: 'load', file: `${FOLDER}/${FILE.name}` },
    });
  });

  it.each<[number, Code]>([
    [401, 'unauthorized'],
    [403, 'denied'],
    [404, 'not-found'],
    [416, 'out-of-range'],
    [429, 'throttled'],
    [500, 'io'],
    [503, 'throttled'],
    [507, 'no-space'],
  ])('%i without a word is %s', async (status, code) => {
    expect(await failure((_, response) => void response.writeHead(status).end('<html>'), load)).toMatchObject({ code });
  });

  it('says how long to wait', async () => {
    const answer: Answer = (_, response) =>
      refuse(response.setHeader('retry-after', '7') as ServerResponse, 503, 'SlowDown');
    expect(await failure(answer, save)).toMatchObject({ code: 'throttled', context: { retryAfterMs: 7000 } });
  });

  it.each([
    ['save', save],
    ['list', listData],
    ['remove', (backend: Backend) => backend.remove(FILE)],
  ])('that comes as a success is one (%s)', async (_, work) => {
    const error = await failure((_asked, response) => refuse(response, 200, 'SlowDown'), work);
    expect(error).toMatchObject({ code: 'throttled', context: { s3Code: 'SlowDown' } });
    expect(await failure((_asked, response) => refuse(response, 200, 'Unheard'), work)).toMatchObject({ code: 'io' });
  });

  it('of HEAD is told by the server when it is asked with another request', async () => {
    const answer: Answer = ({ method }, response) =>
      method === 'HEAD' ? void response.writeHead(403).end() : refuse(response, 403, 'SignatureDoesNotMatch');
    expect(await failure(answer, (backend) => backend.stat(FILE))).toMatchObject({ code: 'unauthorized' });
  });

  it('to remove what is not there is none', async () => {
    await using server = await startS3((_, response) => refuse(response, 404, 'NoSuchKey'));
    await using backend = await server.backend();
    await expect(backend.remove(FILE)).resolves.toBeUndefined();
  });

  it('ends after as much as is worth reading', async () => {
    const error = await failure((_, response) => endless(response, 403, '<Error><Code>AccessDenied</Code>'), load);
    expect(error).toMatchObject({ code: 'denied' });
  });
});

/** Sends until the other side has enough. */
async function endless(response: ServerResponse, status: number, start: string): Promise<void> {
  response.writeHead(status);
  response.write(start);
  const more = Buffer.alloc(64 * 1024, 'x');
  const closed = once(response, 'close');
  while (!response.destroyed) {
    if (!response.write(more)) await Promise.race([once(response, 'drain'), closed]);
  }
}

describe('another server', () => {
  it.each([301, 302, 307, 308])('gets nothing where a redirect (%i) leads to it', async (status) => {
    await using elsewhere = await startS3((_, response) => void response.end('gotcha'));
    const answer: Answer = (_, response) =>
      void response.writeHead(status, { location: `${elsewhere.url}bucket?token=hidden` }).end();
    for (const work of [load, listData, save, (backend: Backend) => backend.stat(FILE)]) {
      const error = await failure(answer, work);
      expect(error).toMatchObject({ code: 'bad-request' });
      expect(error.message).not.toContain('hidden');
    }
    expect(elsewhere.asked).toEqual([]);
  });

  it('is named', async () => {
    const more = '<Endpoint>bucket.s3-eu-west-1.amazonaws.com</Endpoint>';
    const error = await failure((_, response) => refuse(response, 301, 'PermanentRedirect', more), load);
    expect(error).toMatchObject({ code: 'bad-request' });
    expect(error.message).toContain('bucket.s3-eu-west-1.amazonaws.com');
  });
});

describe('a file', () => {
  const part =
    (headers: Record<string, string>, body: string, status = 206): Answer =>
    (_, response) =>
      void response.writeHead(status, headers).end(body);

  it('is loaded, in whole and in part', async () => {
    await using server = await startS3(({ headers }, response) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(String(headers['range'])) ?? [];
      if (from === undefined) response.writeHead(200, { 'content-length': '12' }).end(BYTES);
      else {
        const body = BYTES.subarray(Number(from), Number(to) + 1);
        response.writeHead(206, { 'content-range': `bytes ${from}-${to}/12`, 'content-length': body.length }).end(body);
      }
    });
    await using backend = await server.backend();
    expect(Buffer.from(await backend.load(FILE)).toString()).toBe('some content');
    expect(Buffer.from(await backend.load(FILE, { offset: 5, length: 3 })).toString()).toBe('con');
  });

  it.each<[string, Answer, Code]>([
    ['ends early', part({ 'content-range': 'bytes 5-6/7', 'content-length': '2' }, 'co'), 'out-of-range'],
    ['ends early, of a longer file', part({ 'content-range': 'bytes 5-6/12', 'content-length': '2' }, 'co'), 'corrupt'],
    ['is another part', part({ 'content-range': 'bytes 4-6/12', 'content-length': '3' }, ' co'), 'corrupt'],
    ['is longer', part({ 'content-range': 'bytes 5-8/12', 'content-length': '4' }, 'cont'), 'corrupt'],
    ['is of no known part', part({ 'content-length': '3' }, 'con'), 'corrupt'],
    ['is shorter than it says', part({ 'content-range': 'bytes 5-7/12' }, 'co'), 'corrupt'],
    ['is longer than it says', part({ 'content-range': 'bytes 5-7/12' }, 'cont'), 'too-large'],
    [
      'has another length than its range',
      part({ 'content-range': 'bytes 5-7/12', 'content-length': '2' }, 'co'),
      'corrupt',
    ],
    ['is all there is', part({ 'content-length': '12' }, 'some content', 200), 'corrupt'],
    ['is all there is, and too short', part({ 'content-length': '7' }, 'some co', 200), 'out-of-range'],
    ['has nonsense in it', part({ 'content-range': 'bytes x-y/z', 'content-length': '3' }, 'con'), 'corrupt'],
    [
      'is everything',
      (_, response) => void response.writeHead(200, { 'content-length': 2 ** 45 }).write('x'),
      'corrupt',
    ],
    ['never ends', (_, response) => endless(response, 206, ''), 'corrupt'],
    [
      'is cut off',
      (_, response) => {
        response.writeHead(206, { 'content-range': 'bytes 5-7/12', 'content-length': '3' }).write('c');
        response.destroy();
      },
      'io',
    ],
  ])('part that %s', async (_, answer, code) => {
    expect(await failure(answer, loadRange)).toMatchObject({ code });
  });

  it.each<[string, Answer, Code]>([
    [
      'far too large',
      (_, response) => void response.writeHead(200, { 'content-length': 2 ** 40 }).write('x'),
      'too-large',
    ],
    ['of no known length', (_, response) => void response.writeHead(200).end('some content'), 'corrupt'],
    ['without an end', (_, response) => endless(response, 200, ''), 'corrupt'],
    [
      'cut off',
      (_, response) => {
        response.writeHead(200, { 'content-length': '12' }).write('some');
        response.destroy();
      },
      'io',
    ],
    ['that stalls', (_, response) => void response.writeHead(200, { 'content-length': '12' }).write('some'), 'io'],
  ])('%s', async (_, answer, code) => {
    expect(await failure(answer, load)).toMatchObject({ code });
  });

  it('of no known length has no size', async () => {
    const answer: Answer = (_, response) => void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end();
    expect(await failure(answer, (backend) => backend.stat(FILE))).toMatchObject({ code: 'corrupt' });
  });
});

describe('a listing', () => {
  const [a, b, c] = [idOf('aa1'), idOf('bb2'), idOf('cc3')];
  const key = (name: string): string => `data/${name.slice(0, 2)}/${name}`;
  const answered =
    (text: string): Answer =>
    (_, response) =>
      void response.end(text);

  async function namesOf(answer: Answer, prefix = ''): Promise<string[]> {
    await using server = await startS3(answer);
    await using backend = await server.backend({ prefix });
    return (await Array.fromAsync(backend.list('data'))).map(({ name }) => name);
  }

  it('leaves out what is no file of a repository', async () => {
    const strange = [
      'data/',
      `data/${a}`,
      `data/bb/${a}`,
      `data/aa/x/${a}`,
      `data/aa/${a}x`,
      `data/aa/${a.toUpperCase()}`,
      `dat/aa/${a}`,
      `/data/aa/${a}`,
      `other/data/aa/${a}`,
      `data/aa/${a}-tmp`,
    ].map((each) => entry(each, 'no number'));
    expect(await namesOf(answered(page([entry(key(a)), ...strange, entry(key(b))].join('\n'))))).toEqual([a, b]);
  });

  it('goes on by tokens, whatever is in them', async () => {
    const token = 'a+b/c=&<>"ö';
    await using server = await startS3(({ query }, response) => {
      const more =
        '<IsTruncated> true </IsTruncated><NextContinuationToken>a+b/c=&amp;&lt;&gt;&quot;&#xF6;</NextContinuationToken>';
      response.end(query.get('continuation-token') === token ? page(entry(key(b))) : page(entry(key(a)), more));
    });
    await using backend = await server.backend({ prefix: 'p' });
    expect(await Array.fromAsync(backend.list('data'))).toEqual([]);
    expect(
      server.asked.map(({ query }) => [query.get('list-type'), query.get('prefix'), query.get('continuation-token')]),
    ).toEqual([
      ['2', 'p/data/', null],
      ['2', 'p/data/', token],
    ]);
  });

  it('of the older kind goes on after the last key', async () => {
    await using server = await startS3(({ query }, response) => {
      const marker = query.get('marker');
      if (marker === null) response.end(page(entry(key(a)), '<IsTruncated>true</IsTruncated>'));
      else if (marker === key(a)) {
        response.end(page(entry(key(b)), `<IsTruncated>true</IsTruncated><NextMarker>${key(c)}</NextMarker>`));
      } else response.end(page(entry(key(c))));
    });
    await using backend = await server.backend({ listObjectsV1: true });
    expect((await Array.fromAsync(backend.list('data'))).map(({ name }) => name)).toEqual([a, b, c]);
    expect(server.asked.map(({ query }) => query.get('list-type'))).toEqual([null, null, null]);
  });

  it('may have url-encoded keys', async () => {
    const encoded = '<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>';
    expect(await namesOf(answered(page(entry(`a+%C3%B6%2Fdata%2Faa%2F${a}`), encoded)), 'a ö')).toEqual([a]);
    expect(await namesOf(answered(page(entry(`%zz${key(a)}`), encoded)))).toEqual([]);
    expect(await namesOf(answered(page(entry(`a &amp; b/${key(a)}`))), 'a & b')).toEqual([a]);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['no listing', '<html><body>Welcome</body></html>'],
    ['JSON', '{}'],
    ['half a listing', page(entry(key(a))).slice(0, -30)],
    ['a file that does not end', page('<Contents><Key>x</Key>')],
    ['a file without a size', page(`<Contents><Key>${key(a)}</Key></Contents>`)],
    ['a file without a name', page('<Contents><Size>1</Size></Contents>')],
    ['a size that is no number', page(entry(key(a), '5x'))],
    ['a negative size', page(entry(key(a), -5))],
    ['an inexact size', page(entry(key(a), '12345678901234567890'))],
    ['no word on what follows', page(entry(key(a)), '')],
    ['more without a way to it', page('', '<IsTruncated>true</IsTruncated>')],
    [
      'the same way for ever',
      page('', '<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>'),
    ],
  ])('with %s is corrupt', async (_, text) => {
    expect(await failure(answered(text), listData)).toMatchObject({ code: 'corrupt', context: { file: 'data' } });
  });

  it('with a page that never ends is too large', async () => {
    const start = page('').replace('</ListBucketResult>', '');
    expect(await failure((_, response) => endless(response, 200, start), listData)).toMatchObject({
      code: 'too-large',
    });
  });

  it('of nonsense is read in one pass', async () => {
    const nonsense = page('<Contents>'.repeat(700_000));
    expect(await failure(answered(nonsense), listData)).toMatchObject({ code: 'corrupt' });
  });
});
