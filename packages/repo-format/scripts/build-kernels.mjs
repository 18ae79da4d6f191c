// Compiles the .wat kernels to the modules that hold their bytes: `node scripts/build-kernels.mjs`.
import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import wabt from 'wabt';

const KERNELS = [{ wat: '../src/crypto/poly1305.wat', out: '../src/crypto/poly1305.wasm.ts' }];

/** The text of the generated module of one kernel. */
async function render(wat) {
  const { parseWat } = await wabt();
  const name = wat.slice(wat.lastIndexOf('/') + 1);
  const module = parseWat(name, await readFile(new URL(wat, import.meta.url), 'utf8'));
  module.validate();
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
  const lines = base64.match(/.{1,100}/g).map((line) => `  '${line}'`);
  return [
    `// Generated from ${name} by scripts/build-kernels.mjs; do not edit.`,
    '',
    '/** The WebAssembly module, base64. */',
    `export const WASM: string =\n${lines.join(' +\n')};\n`,
  ].join('\n');
}

/** Every kernel with the module it should have and the file that should hold it. */
export async function buildKernels() {
  return Promise.all(
    KERNELS.map(async ({ wat, out }) => ({ file: new URL(out, import.meta.url), text: await render(wat) })),
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { file, text } of await buildKernels()) await writeFile(file, text);
}
