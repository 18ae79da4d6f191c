// Compiles src/rabin/rabin.wat into the committed module src/rabin/rabin.wasm.ts.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

const source = new URL('../src/rabin/rabin.wat', import.meta.url);
const target = new URL('../src/rabin/rabin.wasm.ts', import.meta.url);

/** The text of rabin.wasm.ts as the present rabin.wat makes it. */
export async function buildKernel() {
  const { parseWat } = await wabt();
  const module = parseWat('rabin.wat', await readFile(source, 'utf8'), { simd: true, bulk_memory: true });
  try {
    const { buffer } = module.toBinary({});
    const lines =
      Buffer.from(buffer)
        .toString('base64')
        .match(/.{1,110}/g) ?? [];
    const text = lines.map((line) => `  '${line}',`).join('\n');
    return `// Generated from rabin.wat by scripts/build-kernels.mjs; do not edit.\nexport const RABIN_WASM: string = [\n${text}\n].join('');\n`;
  } finally {
    module.destroy();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(target, await buildKernel());
