/**
 * Poly1305 (RFC 8439 §2.5) in a WebAssembly kernel, see `poly1305.wat`. The kernel is compiled at first use,
 * synchronously: a library with top-level await cannot be loaded by `require`.
 */
import { WASM } from './poly1305.wasm.ts';

// The compiler's library without DOM does not know WebAssembly; this is the part used here.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: KernelExports };
};

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  init(): void;
  blocks(length: number, top: bigint): void;
  finish(): void;
}

interface Kernel {
  readonly exports: KernelExports;
  /** The kernel's memory, as laid out in the .wat. */
  readonly memory: Uint8Array;
}

const BLOCK = 16;
const S_AT = 16;
const TAG_AT = 32;
const MESSAGE_AT = 1024;
/** Small enough to stay in the first-level cache between the copy and the multiplication. */
const SLICE = 16_384;

let kernel: Kernel | undefined;

function load(): Kernel {
  const bytes = Uint8Array.from(atob(WASM), (char) => char.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  return { exports, memory: new Uint8Array(exports.memory.buffer) };
}

/**
 * The Poly1305 tag of `message`.
 *
 * @param r - 16 bytes; clamped here, as RFC 8439 §2.5 asks.
 * @param s - 16 bytes, used for this message only.
 * @returns 16 bytes of their own.
 */
export function poly1305(r: Uint8Array, s: Uint8Array, message: Uint8Array): Uint8Array<ArrayBuffer> {
  kernel ??= load();
  const { exports, memory } = kernel;
  memory.set(r, 0);
  memory.set(s, S_AT);
  exports.init();
  const whole = message.length - (message.length % BLOCK);
  for (let at = 0; at < whole; at += SLICE) {
    const end = Math.min(at + SLICE, whole);
    memory.set(message.subarray(at, end), MESSAGE_AT);
    exports.blocks(end - at, 1n);
  }
  if (whole < message.length) {
    memory.fill(0, MESSAGE_AT, MESSAGE_AT + BLOCK);
    memory.set(message.subarray(whole), MESSAGE_AT);
    memory[MESSAGE_AT + message.length - whole] = 1;
    exports.blocks(BLOCK, 0n);
  }
  exports.finish();
  return memory.slice(TAG_AT, TAG_AT + BLOCK);
}
