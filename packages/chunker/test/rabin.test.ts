import { readFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildKernel } from '../scripts/build-kernels.mjs';
import { type ChunkerParameters, RESTIC_SIZES, rabin, rabinReference } from '../src/index.ts';
import { remainder } from '../src/polynomial.ts';
import { modTable, outTable } from '../src/rabin/rabin.reference.ts';
import { kernelCutter } from '../src/rabin/rabin.ts';
import { RABIN_STRICT_WASM, RABIN_WASM } from '../src/rabin/rabin.wasm.ts';
import { compileRabin, instantiateRabin } from '../src/rabin/wasm.ts';
import { BOXED, lengths, mixedBytes, noise, OTHER_POLYNOMIAL, POLYNOMIAL, sha256 } from './inputs.ts';

const RESTIC: ChunkerParameters = { polynomial: POLYNOMIAL, ...RESTIC_SIZES };
const CUTTERS = [
  ['kernel', rabin],
  ['reference', rabinReference],
] as const;

/** F by its definition: 64 bytes as one polynomial, oldest byte first, modulo the chunker's. */
function fingerprint(window: Uint8Array, polynomial: bigint): bigint {
  return remainder(BigInt(`0x${Buffer.from(window).toString('hex')}`), polynomial);
}

/** The cut rule by its definition, byte by byte. */
function definition(bytes: Uint8Array, parameters: ChunkerParameters): number[] {
  const mask = (1n << BigInt(parameters.averageBits)) - 1n;
  const ends: number[] = [];
  let start = 0;
  for (let end = 1; end <= bytes.length; end++) {
    const length = end - start;
    const candidate = () => (fingerprint(bytes.subarray(end - 64, end), parameters.polynomial) & mask) === 0n;
    if (length === parameters.maxSize || (length >= parameters.minSize && candidate()) || end === bytes.length) {
      ends.push(end);
      start = end;
    }
  }
  return ends;
}

const anyParameters: fc.Arbitrary<ChunkerParameters> = fc
  .record({
    polynomial: fc.constantFrom(POLYNOMIAL, OTHER_POLYNOMIAL),
    minSize: fc.oneof(fc.integer({ min: 64, max: 200 }), fc.integer({ min: 64, max: 20_000 })),
    span: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 300_000 })),
    averageBits: fc.integer({ min: 1, max: 23 }),
  })
  .map(({ span, ...rest }) => ({ ...rest, maxSize: rest.minSize + span }));

describe('tables', () => {
  const entry = (table: { high: Int32Array; low: Int32Array }, byte: number) =>
    [table.high, table.low].map((half) => ((half[byte] as number) >>> 0).toString(16).padStart(8, '0')).join('');

  it("have chunker's values", () => {
    const out = outTable(POLYNOMIAL);
    expect([1, 2, 255].map((byte) => entry(out, byte))).toEqual([
      '0017eb4232e19216',
      '001275b1ee8ee55f',
      '000b80b98cecc39a',
    ]);
    const mod = modTable(POLYNOMIAL);
    expect([1, 2, 255].map((byte) => entry(mod, byte))).toEqual([
      '003da3358b4dc173',
      '0046e55e9dd64395',
      '1ff7ac8a5af476a7',
    ]);
  });
});

describe('the definition used as oracle', () => {
  it('gives the known fingerprints', () => {
    const of = (window: Uint8Array) => fingerprint(window, POLYNOMIAL).toString(16).padStart(16, '0');
    expect(of(new Uint8Array(64).fill(0x41))).toBe('000d42cbde72d4f5');
    expect(of(Uint8Array.from({ length: 64 }, (_, i) => i))).toBe('00044b76cac5cee3');
    expect(of(new Uint8Array(64).fill(0xff))).toBe('0006d9879d4c4d97');
    expect(of(new Uint8Array(64))).toBe('0000000000000000');
  });
});

describe.each(CUTTERS)('%s', (_name, make) => {
  it('cuts the portable vector as restic does', () => {
    const bytes = noise('restic-chunk-vector', 16 << 20);
    expect(sha256(bytes)).toBe('d0f1c3b18029e74e558474cede3f4b7a1380269b0ca7273ce32422754473597d');
    const ends = make(RESTIC).cuts(bytes, true);
    const chunks = lengths(ends).map((length, i) => {
      const end = ends[i] as number;
      const cut = fingerprint(bytes.subarray(end - 64, end), POLYNOMIAL)
        .toString(16)
        .padStart(16, '0');
      return `${length} ${end === bytes.length ? 'EOF' : cut} ${sha256(bytes.subarray(end - length, end))}`;
    });
    expect(chunks).toEqual(PORTABLE_VECTOR);
  });

  it('cuts 2 MiB of zeros at every minimum', () => {
    const bytes = new Uint8Array(2 << 20);
    expect(lengths(make(RESTIC).cuts(bytes, true))).toEqual([524288, 524288, 524288, 524288]);
    expect(sha256(bytes.subarray(0, 524288))).toBe('07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541');
  });

  it('cuts 20 MiB of 0x41 at every maximum', () => {
    expect(lengths(make(RESTIC).cuts(new Uint8Array(20 << 20).fill(0x41), true))).toEqual([8388608, 8388608, 4194304]);
  });

  it('leaves small and empty inputs whole', () => {
    const cutter = make(RESTIC);
    expect(cutter.cuts(new Uint8Array(0), true)).toEqual([]);
    expect(cutter.cuts(new Uint8Array(0), false)).toEqual([]);
    expect(cutter.cuts(new Uint8Array(1), true)).toEqual([1]);
    expect(cutter.cuts(new Uint8Array(524287), true)).toEqual([524287]);
    expect(cutter.cuts(new Uint8Array(524287), false)).toEqual([]);
  });

  it('tells of a maximum only when the whole chunk is there', () => {
    const cutter = make({ ...RESTIC, minSize: 100, maxSize: 1000 });
    expect(cutter.cuts(new Uint8Array(999).fill(0x41), false)).toEqual([]);
    expect(cutter.cuts(new Uint8Array(1000).fill(0x41), false)).toEqual([1000]);
    expect(cutter.cuts(new Uint8Array(1000).fill(0x41), true)).toEqual([1000]);
  });

  it('follows the definition', () => {
    const small = fc.record({
      polynomial: fc.constantFrom(POLYNOMIAL, OTHER_POLYNOMIAL),
      minSize: fc.integer({ min: 64, max: 130 }),
      maxSize: fc.integer({ min: 130, max: 600 }),
      averageBits: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(mixedBytes(4, 700), small, (bytes, parameters) => {
        expect(make(parameters).cuts(bytes, true)).toEqual(definition(bytes, parameters));
      }),
      { ...BOXED, interruptAfterTimeLimit: 1500 },
    );
  });

  it.each<Partial<ChunkerParameters>>([
    { polynomial: 0x1da3358b4dc173n },
    { polynomial: 0x7da3358b4dc173n },
    { polynomial: -POLYNOMIAL },
    { polynomial: 0n },
    { minSize: 63 },
    { minSize: 64.5 },
    { maxSize: 524287 },
    { maxSize: Number.POSITIVE_INFINITY },
    { averageBits: 0 },
    { averageBits: 32 },
  ])('refuses %o', (change) => {
    expect(() => make({ ...RESTIC, ...change })).toThrow(RangeError);
  });
});

describe('kernel', () => {
  it('is used here', () => {
    expect(instantiateRabin()).toBeDefined();
  });

  it.each([
    ['relaxed', RABIN_WASM],
    ['strict', RABIN_STRICT_WASM],
  ])('agrees with the reference (%s SIMD)', (_build, base64) => {
    const instantiate = compileRabin(base64) as NonNullable<ReturnType<typeof compileRabin>>;
    const anyKernelParameters = anyParameters.filter(({ averageBits }) => averageBits <= 21);
    fc.assert(
      fc.property(mixedBytes(5, 150_000), anyKernelParameters, fc.boolean(), (bytes, parameters, final) => {
        const cutter = kernelCutter(instantiate(), parameters);
        expect(cutter.cuts(bytes, final)).toEqual(rabinReference(parameters).cuts(bytes, final));
      }),
      { ...BOXED, interruptAfterTimeLimit: 1500 },
    );
  });

  it('gives way to the reference where it looks at too few bits', () => {
    fc.assert(
      fc.property(mixedBytes(5, 50_000), anyParameters, fc.boolean(), (bytes, parameters, final) => {
        expect(rabin(parameters).cuts(bytes, final)).toEqual(rabinReference(parameters).cuts(bytes, final));
      }),
      { ...BOXED, interruptAfterTimeLimit: 1000 },
    );
  });

  it('finds the first of several candidates, wherever they lie', () => {
    // Exactly 64 zero bytes in data that has no other candidate: one usable position, in any lane and at any step.
    const parameters = { polynomial: POLYNOMIAL, minSize: 64, maxSize: 1 << 20, averageBits: 20 };
    const quiet = new Uint8Array(200_000).fill(0x41);
    expect(rabinReference(parameters).cuts(quiet, true)).toEqual([200_000]);
    const cutter = rabin(parameters);
    const spots = fc.uniqueArray(fc.integer({ min: 0, max: 199_936 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(spots, (starts) => {
        const bytes = quiet.slice();
        for (const start of starts) bytes.fill(0, start, start + 64);
        const first = Math.min(...starts) + 64;
        expect(cutter.cuts(bytes, true)[0]).toBe(first);
      }),
      BOXED,
    );
  });

  it('keeps cutters with different polynomials apart', () => {
    const bytes = noise('two cutters', 300_000);
    const parameters = { polynomial: POLYNOMIAL, minSize: 1000, maxSize: 50_000, averageBits: 12 };
    const other = { ...parameters, polynomial: OTHER_POLYNOMIAL };
    const [a, b] = [rabin(parameters), rabin(other)];
    expect([a, b, a].map((cutter) => cutter.cuts(bytes, true))).toEqual(
      [parameters, other, parameters].map((each) => rabinReference(each).cuts(bytes, true)),
    );
  });

  it('has 128 KiB of memory, whatever the input', () => {
    expect(instantiateRabin()?.memory.length).toBe(131072);
  });

  it('is the one that rabin.wat makes', async () => {
    const committed = await readFile(new URL('../src/rabin/rabin.wasm.ts', import.meta.url), 'utf8');
    expect(committed).toBe(await buildKernel());
  });
});

const PORTABLE_VECTOR = [
  '1968494 001d29937d700000 2cc069ec6b0719a4e2d3479404870f05317c677196d5daab6fd2776f8a638c73',
  '708831 001bbde33cd00000 12156cf4cbc7631014879e057e2c0aae4440522dd561e914eff78eb8478ad907',
  '745874 001c78f6d6900000 0fe61a5f82afba8ef7c28e572b52709a684ee6f752ee447e189c836cf7bca888',
  '795348 001755048b600000 910851a4e4fd8c2622e9a5c51456ed24268a386330ce382bd21a9533ce836e68',
  '641479 0012766c25500000 3ad24dd470281a8b89084d4f0fdd78e43e2d5a8081c6c3c8a5741cecaf7f5ee0',
  '2028458 00117195c8b00000 ae84b262fce8f10a5adb6feffb4abf353dbc04c2adbcdef756c4ae15ca7b43ad',
  '1328004 0008fc2694000000 2ab2913fecaf35c8ff3024ad906a6c137466e089aec3f41564ac19b07271936f',
  '1997996 001ee97355d00000 098fd1c930eb0c74a7dba1176864e96791641cc55b464a27af23198e88e5e8fd',
  '2929434 00040e5eb6600000 ac5b236acf1f38cd06ea1459fc23d4eed16e8dde2b8cc41908a0b41e73aa3249',
  '1411793 000b40b65c400000 34663d7f008fb9ea2fa17bb3d736c98a9cd6be9c2fe5e6202ce067a251e72e52',
  '1023129 00040d1eed600000 9a663481fd27637d5ed129b3e0dcbf9e43e83f95bf46048d749a2da313e132e1',
  '892434 000cf118ec400000 5cb8d73aafc4065ac7df29cb4789671690ab06497026fd6ae18f924eb350b5b3',
  '305942 EOF 05f2ceb1a013bb252e9312114147bf9cadd1f422b048d7841c934c21b73d46bb',
];
