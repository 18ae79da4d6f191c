import { RABIN_STRICT_WASM, RABIN_WASM } from './rabin.wasm.ts';

/** One instance of rabin.wat with its own memory. */
export interface RabinKernel {
  readonly memory: Uint8Array;
  /** See rabin.wat. */
  readonly scan: (lane: number) => number;
}

// The part of WebAssembly used here; TypeScript's own declarations come only with a browser's whole library.
declare const WebAssembly:
  | {
      validate: (bytes: Uint8Array<ArrayBuffer>) => boolean;
      Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
      Instance: new (
        module: object,
      ) => {
        exports: { memory: { buffer: ArrayBuffer }; scan: (lane: number) => number };
      };
    }
  | undefined;

/** Makes kernel instances from the one compiled module; null where none can be compiled. */
let make: (() => RabinKernel) | null | undefined;

/** A fresh instance, compiled at the first call; undefined where WebAssembly or its SIMD instructions are missing. */
export function instantiateRabin(): RabinKernel | undefined {
  if (make === undefined) make = compileRabin(RABIN_WASM) ?? compileRabin(RABIN_STRICT_WASM) ?? null;
  return make?.();
}

/** Compiles a build of rabin.wat, given in base64, to a maker of instances; undefined where this platform cannot run it. */
export function compileRabin(base64: string): (() => RabinKernel) | undefined {
  if (typeof WebAssembly === 'undefined') return undefined;
  const { validate, Module, Instance } = WebAssembly;
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  if (!validate(bytes)) return undefined;
  const module = new Module(bytes);
  return () => {
    const { memory, scan } = new Instance(module).exports;
    return { memory: new Uint8Array(memory.buffer), scan };
  };
}
