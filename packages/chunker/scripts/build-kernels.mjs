// Compiles src/rabin/rabin.wat into the committed module src/rabin/rabin.wasm.ts.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

const source = new URL('../src/rabin/rabin.wat', import.meta.url);
const target = new URL('../src/rabin/rabin.wasm.ts', import.meta.url);

/** The text of rabin.wasm.ts as the present rabin.wat makes it. */
export async function buildKernel() {
  const { parseWat } = await wabt();
  const text = await readFile(source, 'utf8');
  const constant = (name, wat) => {
    const module = parseWat('rabin.wat', wat, { simd: true, relaxed_simd: true, bulk_memory: true });
    try {
      const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
      const lines = (base64.match(/.{1,110}/g) ?? []).map((line) => `  '${line}',\n`);
      return `export const ${name}: string = [\n${lines.join('')}].join('');\n`;
    } finally {
      module.destroy();
    }
  };
  return [
    '// Generated from rabin.wat by scripts/build-kernels.mjs; do not edit.\n',
    '\n/** The kernel, in base64. */\n',
    constant('RABIN_WASM', text),
    '\n/** The kernel for engines without relaxed SIMD, in base64. */\n',
    constant('RABIN_STRICT_WASM', text.replaceAll('i8x16.relaxed_swizzle', 'i8x16.swizzle')),
  ].join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(target, await buildKernel());
