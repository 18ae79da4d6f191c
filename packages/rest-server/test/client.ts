import { createHash } from 'node:crypto';
import { request } from 'node:http';
import type { RequestOptions } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export const V1 = 'application/vnd.x.restic.rest.v1';
export const V2 = 'application/vnd.x.restic.rest.v2';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export function idOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

export function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

/** Sends a request exactly as it is written: the path is not tidied up, the length is that of the body. */
export function ask(
  port: number,
  method: string,
  path: string,
  body?: string | Uint8Array,
  more: RequestOptions = {},
): Promise<Reply> {
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const headers = { ...length, ...(more.headers as Record<string, string> | undefined) };
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method, path, agent: false, ...more, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

/** Bytes on a bare connection, and everything that comes back until it closes. */
export async function talk(port: number, work: (socket: Socket) => Promise<void> | void): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await work(socket);
  await closed;
  return Buffer.concat(chunks).toString();
}

/** Waits until something has come true. */
export async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 10_000) throw new Error('that never came true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
