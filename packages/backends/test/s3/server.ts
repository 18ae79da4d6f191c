/** Servers that answer as a test wants it, and remember what they were asked. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Backend, FileHandle, FileType } from '@restic-engine/repo-format';
import { s3Backend } from '../../src/s3/open.ts';
import type { S3Options } from '../../src/s3/open.ts';
import { bodyOf, startHttp } from '../http/servers.ts';
import type { TestServer } from '../http/servers.ts';

export const KEYS = { accessKeyId: 'AKIATESTTESTTESTTEST', secretAccessKey: 'very/secret+key' };

export interface Asked {
  readonly method: string;
  /** Decoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export type Answer = (asked: Asked, response: ServerResponse) => void | Promise<void>;

export interface S3Server extends TestServer {
  readonly asked: readonly Asked[];
  /** A backend for its bucket `bucket`. */
  backend(options?: Partial<S3Options>): Promise<Backend>;
}

export async function startS3(answer: Answer): Promise<S3Server> {
  const asked: Asked[] = [];
  const server = await startHttp(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://server');
    const one: Asked = {
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers: request.headers,
      body: await bodyOf(request),
    };
    asked.push(one);
    await answer(one, response);
  });
  const backend: S3Server['backend'] = (options = {}) =>
    s3Backend({
      endpoint: `http://127.0.0.1:${server.port}`,
      bucket: 'bucket',
      credentials: KEYS,
      env: {},
      ...options,
    });
  return { ...server, asked, backend, [Symbol.asyncDispose]: server[Symbol.asyncDispose] };
}

/** Answers with an error as servers do. */
export function refuse(response: ServerResponse, status: number, code: string, more = ''): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>no</Message>${more}<RequestId>x</RequestId></Error>`,
  );
}

export function page(entries: string, more = '<IsTruncated>false</IsTruncated>'): string {
  const start =
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">';
  return `${start}<Name>bucket</Name>${more}${entries}</ListBucketResult>`;
}

export function entry(key: string, size: number | string = 5): string {
  return `<Contents><Key>${key}</Key><ETag>&quot;x&quot;</ETag><Size>${size}</Size></Contents>`;
}

export function fileOf(type: FileType, content: string): FileHandle {
  return { type, name: type === 'config' ? '' : createHash('sha256').update(content).digest('hex') };
}

/** The name of a file, made of a few digits. */
export const idOf = (digits: string): string => digits.padEnd(64, '0');
