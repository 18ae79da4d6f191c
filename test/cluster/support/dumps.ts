/** Dumps of databases as tests handle them. */
import { createHash } from 'node:crypto';

export async function* streamOf(...chunks: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

export async function contentOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A dump without the random words that newer ones have. */
export function comparable(dump: Buffer): string {
  const text = dump.toString('latin1').replaceAll(/^\\(?:un)?restrict \w+$/gm, '');
  return createHash('sha256').update(text).digest('hex');
}
