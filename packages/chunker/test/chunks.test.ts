import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunks, rabin, rabinReference } from '../src/index.ts';
import { BOXED, lengths, mixedBytes, noise, POLYNOMIAL } from './inputs.ts';

const PARAMETERS = { polynomial: POLYNOMIAL, minSize: 200, maxSize: 5000, averageBits: 9 };

/** Cuts `bytes` at the given places, which may repeat (empty parts). */
function parts(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const bounds = [0, ...places.map((place) => Math.min(place, bytes.length)).toSorted((a, b) => a - b), bytes.length];
  return bounds.slice(1).map((bound, i) => bytes.subarray(bounds[i], bound));
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const list: Uint8Array[] = [];
  for await (const chunk of source) list.push(chunk);
  return list;
}

describe('chunks', () => {
  it('cuts where the whole input would be cut, however it arrives', async () => {
    await fc.assert(
      fc.asyncProperty(
        mixedBytes(5, 40_000),
        fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 30 }),
        async (bytes, places) => {
          const list = await collect(chunks(parts(bytes, places), rabin(PARAMETERS)));
          expect(list.map((chunk) => chunk.length)).toEqual(lengths(rabinReference(PARAMETERS).cuts(bytes, true)));
          expect(Buffer.concat(list).equals(bytes)).toBe(true);
        },
      ),
      BOXED,
    );
  });

  it('yields chunks that own their buffers, from a source that reuses its own', async () => {
    const bytes = noise('reused', 100_000);
    async function* reusing() {
      const buffer = new Uint8Array(777);
      for (let at = 0; at < bytes.length; at += 777) {
        const part = bytes.subarray(at, at + 777);
        buffer.set(part);
        yield buffer.subarray(0, part.length);
        buffer.fill(0);
      }
    }
    const list = await collect(chunks(reusing(), rabin(PARAMETERS)));
    expect(Buffer.concat(list).equals(bytes)).toBe(true);
    for (const chunk of list) expect(chunk.buffer.byteLength).toBe(chunk.length);
    expect(new Set(list.map((chunk) => chunk.buffer)).size).toBe(list.length);
  });

  it('yields early chunks before the source has ended', async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 1000;
        yield new Uint8Array(1000);
      }
    }
    const generator = chunks(endless(), rabin(PARAMETERS));
    expect((await generator.next()).value).toHaveLength(200);
    expect(given).toBeLessThanOrEqual(2 * PARAMETERS.maxSize + 1000);
    await generator.return(undefined);
  });

  it('passes on errors of the source and yields nothing for an empty one', async () => {
    async function* failing() {
      yield new Uint8Array(10);
      throw new Error('disk on fire');
    }
    await expect(collect(chunks(failing(), rabin(PARAMETERS)))).rejects.toThrow('disk on fire');
    expect(await collect(chunks([], rabin(PARAMETERS)))).toEqual([]);
    expect(await collect(chunks([new Uint8Array(0)], rabin(PARAMETERS)))).toEqual([]);
  });
});
