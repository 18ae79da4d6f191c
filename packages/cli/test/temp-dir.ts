import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that is removed when the test is over. */
export interface TempDir extends Disposable {
  readonly path: string;
}

export function makeTempDir(): TempDir {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'restic-engine-')));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
