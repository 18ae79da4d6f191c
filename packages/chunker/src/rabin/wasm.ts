import { RABIN_WASM } from './rabin.wasm.ts';

/** One instance of rabin.wat with its own memory. */
export interface RabinKernel {
  readonly memory: Uint8Array;
  /** See rabin.wat. */
  readonly scan: (lane: number) => number;
}

// The part of WebAssembly used here; TypeScript's own declarations come only with a browser's whole library.
declare const WebAssembly:
  | {
      validate(bytes: Uint8Array<ArrayBuffer>): boolean;
      Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
      Instance: new (
        module: object,
      ) => {
        exports: { memory: { buffer: ArrayBuffer }; scan(lane: number): number };
      };
    }
  | undefined;

/** The compiled kernel, shared by all instances; null where it cannot be compiled. */
let compiled: object | null | undefined;

/** A fresh instance, compiled at the first call; undefined where WebAssembly or its SIMD instructions are missing. */
export function instantiateRabin(): RabinKernel | undefined {
  if (typeof WebAssembly === 'undefined') return undefined;
  if (compiled === undefined) {
    const bytes = Uint8Array.from(atob(RABIN_WASM), (character) => character.charCodeAt(0));
    compiled = WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : null;
  }
  if (compiled === null) return undefined;
  const { memory, scan } = new WebAssembly.Instance(compiled).exports;
  return { memory: new Uint8Array(memory.buffer), scan };
}
