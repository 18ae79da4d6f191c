/** The text of src/rabin/rabin.wasm.ts as the present rabin.wat makes it. */
export function buildKernel(): Promise<string>;
