import { expect } from 'vitest';
import { type Code, EngineError } from '../src/errors.ts';

/** What `call` throws or rejects with, which must be an EngineError; undefined when it succeeds. */
export async function codeOf(call: () => unknown): Promise<Code | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    expect(error, 'only engine errors may come out').toBeInstanceOf(EngineError);
    return (error as EngineError).code;
  }
}

/** Bytes of hex digits. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** A time box for properties: slow machines check fewer cases instead of failing. */
export const BOXED = { interruptAfterTimeLimit: 2_000, markInterruptAsFailure: false } as const;
