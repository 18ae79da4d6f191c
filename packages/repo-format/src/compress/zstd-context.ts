/**
 * zstd contexts that live for many frames.
 *
 * The public synchronous calls of `node:zlib` make a context for every frame: 30 µs each way, more than the work on a
 * small blob. A context itself starts a new frame where the last one ended (zstd manual, "Streaming compression"), so
 * one stream object is kept and its binding called directly. That binding is not a public interface: it is looked at
 * before it is used, and where it is not as expected there is no context, and callers take the public way.
 */
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';

/** What `node:zlib` calls on its binding; the states of input and output are left in the stream's `_writeState`. */
interface Binding {
  onerror: unknown;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void;
}

/** Turns one input into one output. */
export interface FrameContext {
  /**
   * Writes what becomes of the whole `input` and returns its length; undefined when the input is damaged or does not
   * end, or `output` is too short. After that the context is of no use any more.
   */
  run(input: Uint8Array, output: Uint8Array): number | undefined;
}

/** A context that writes frames with these parameters (constants of `node:zlib`). */
export function compressionContext(params: Readonly<Record<number, number>>): FrameContext | undefined {
  return contextOf(createZstdCompress({ params }));
}

/** A context that reads frames, one after the other. */
export function decompressionContext(): FrameContext | undefined {
  return contextOf(createZstdDecompress());
}

function contextOf(stream: object): FrameContext | undefined {
  const binding: unknown = Reflect.get(stream, '_handle');
  const state: unknown = Reflect.get(stream, '_writeState');
  if (!isBinding(binding) || !(state instanceof Uint32Array) || state.length !== 2) return undefined;
  let failed = false;
  binding.onerror = () => {
    failed = true;
  };
  return {
    run(input, output) {
      binding.writeSync(constants.ZSTD_e_end, input, 0, input.length, output, 0, output.length);
      const [outputLeft = 0, inputLeft = 0] = state;
      return failed || inputLeft > 0 ? undefined : output.length - outputLeft;
    },
  };
}

function isBinding(value: unknown): value is Binding {
  return (
    typeof value === 'object' &&
    value !== null &&
    'onerror' in value &&
    typeof Reflect.get(value, 'writeSync') === 'function'
  );
}
