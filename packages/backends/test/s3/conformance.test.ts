import { createHash } from 'node:crypto';
import { describe, it } from 'vitest';
import { describeBackend } from '../../src/conformance/index.ts';
import { override } from '../../src/wrap/wrap.ts';
import { entry, KEYS, page, refuse, startS3 } from './server.ts';
import type { Answer, Asked } from './server.ts';

/** Keys on one page of a listing. */
const PAGE = 100;

/** A bucket in memory: what a server does, without checking who asks. A real one is asked in `test/servers`. */
function bucketInMemory(): Answer {
  const objects = new Map<string, Buffer>();
  let exists = false;

  const list = ({ query }: Asked): string => {
    const keys = [...objects.keys()].filter((key) => key.startsWith(query.get('prefix') ?? '')).sort();
    const rest = keys.filter((key) => key > (query.get('continuation-token') ?? ''));
    const shown = rest.slice(0, PAGE);
    const next = `<NextContinuationToken>${shown.at(-1)}</NextContinuationToken>`;
    const more = rest.length > PAGE ? `<IsTruncated>true</IsTruncated>${next}` : '<IsTruncated>false</IsTruncated>';
    return page(shown.map((key) => entry(key, objects.get(key)?.length ?? 0)).join(''), more);
  };

  return (asked, response) => {
    const { method, path, headers, body } = asked;
    const key = /^\/bucket\/(.+)$/.exec(path)?.[1];
    if (key === undefined && method === 'PUT') exists = true;
    if (!exists) return refuse(response, 404, 'NoSuchBucket');
    if (key === undefined) return void response.end(method === 'GET' ? list(asked) : '');
    if (method === 'DELETE') {
      objects.delete(key);
      return void response.writeHead(204).end();
    }
    if (method === 'PUT') {
      const hash = createHash('sha256').update(body).digest('hex');
      if (hash !== headers['x-amz-content-sha256']) return refuse(response, 400, 'XAmzContentSHA256Mismatch');
      objects.set(key, body);
      return void response.end();
    }
    const object = objects.get(key);
    if (object === undefined) return refuse(response, 404, 'NoSuchKey');
    const range = /^bytes=(\d+)-(\d+)$/.exec(String(headers['range']));
    if (range === null) {
      return void response
        .writeHead(200, { 'content-length': object.length })
        .end(method === 'HEAD' ? undefined : object);
    }
    const part = object.subarray(Number(range[1]), Number(range[2]) + 1);
    if (part.length === 0) return refuse(response, 416, 'InvalidRange');
    const last = Number(range[1]) + part.length - 1;
    response.writeHead(206, { 'content-range': `bytes ${range[1]}-${last}/${object.length}` });
    response.end(part);
  };
}

const make = async () => {
  const server = await startS3(bucketInMemory());
  const backend = await server.backend({ prefix: 'some/folder' });
  return override(backend, {
    [Symbol.asyncDispose]: async () => {
      await backend[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  });
};

describeBackend({ describe, it }, 'S3', make, {
  traits: { connections: 5, atomicReplace: true, listAfterWrite: true, canRemove: true },
  secrets: [KEYS.accessKeyId, KEYS.secretAccessKey],
});
