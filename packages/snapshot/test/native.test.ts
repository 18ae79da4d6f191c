import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { loadNative, type NativeCalls } from '../src/native/native.ts';
import { fromNodeError, systemError } from '../src/native/system-error.ts';
import { makeTempDir } from './temp-dir.ts';

const native = loadNative();
const root = process.geteuid?.() === 0;

/** Attributes need a file system that has them. */
function keepsAttributes(calls: NativeCalls | undefined): boolean {
  using temp = makeTempDir();
  try {
    calls?.setXattr(temp.path, 'user.probe', new Uint8Array(1));
    return calls !== undefined;
  } catch {
    return false;
  }
}

const linux64 = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);

describe.runIf(linux64)('native calls on 64-bit Linux', () => {
  const calls = native as NativeCalls;

  it('are there', () => {
    expect(native).toBeDefined();
    expect(loadNative()).toBe(native);
  });

  it.runIf(keepsAttributes(native))('list, get, set and remove attributes where the file system has them', () => {
    using temp = makeTempDir();
    const path = `${temp.path}/née \udcff`;
    writeFileSync(Buffer.from(`${temp.path}/n\xc3\xa9e \xff`, 'latin1'), '');
    expect(calls.listXattrs(path)).toEqual([]);
    const large = new Uint8Array(3000).fill(7);
    calls.setXattr(path, 'user.large', large);
    calls.setXattr(path, 'user.empty', new Uint8Array());
    calls.setXattr(path, 'user.ümläut', Uint8Array.of(1, 0, 255));
    expect([...calls.listXattrs(path)].sort()).toEqual(['user.empty', 'user.large', 'user.ümläut']);
    expect(calls.getXattr(path, 'user.large')).toEqual(large);
    expect(calls.getXattr(path, 'user.empty')).toEqual(new Uint8Array());
    expect(calls.getXattr(path, 'user.ümläut')).toEqual(Uint8Array.of(1, 0, 255));
    expect(calls.getXattr(path, 'user.none')).toBeNull();
    calls.removeXattr(path, 'user.large');
    calls.removeXattr(path, 'user.empty');
    expect(calls.listXattrs(path)).toEqual(['user.ümläut']);
  });

  it.runIf(keepsAttributes(native))('list more names than fit at first, where the file system has attributes', () => {
    using temp = makeTempDir();
    const names = Array.from({ length: 12 }, (_, index) => `user.${String(index).padStart(2, '0')}${'n'.repeat(120)}`);
    for (const name of names) calls.setXattr(temp.path, name, new Uint8Array());
    expect([...calls.listXattrs(temp.path)].sort()).toEqual(names);
  });

  it('set times to the nanosecond, before 1970 too, and not of what a link points to', () => {
    using temp = makeTempDir();
    const file = `${temp.path}/file`;
    const link = `${temp.path}/link`;
    writeFileSync(file, '');
    symlinkSync('file', link);
    calls.setTimes(link, { seconds: 1, nanoseconds: 999_999_999 }, { seconds: -2, nanoseconds: 1 });
    calls.setTimes(
      file,
      { seconds: 4_000_000_000, nanoseconds: 0 },
      { seconds: 1_600_000_000, nanoseconds: 123_456_789 },
    );
    expect(lstatSync(link, { bigint: true })).toMatchObject({ atimeNs: 1_999_999_999n, mtimeNs: -1_999_999_999n });
    expect(statSync(file, { bigint: true })).toMatchObject({
      atimeNs: 4_000_000_000_000_000_000n,
      mtimeNs: 1_600_000_000_123_456_789n,
    });
  });

  it('create named pipes', () => {
    using temp = makeTempDir();
    calls.makeNode?.(`${temp.path}/pipe`, 0o010600, 0);
    expect(lstatSync(`${temp.path}/pipe`).isFIFO()).toBe(true);
  });

  it.runIf(root)('create devices as root', () => {
    using temp = makeTempDir();
    calls.makeNode?.(`${temp.path}/block`, 0o060600, 286_327_664);
    calls.makeNode?.(`${temp.path}/char`, 0o020600, 259n);
    expect(lstatSync(`${temp.path}/block`)).toMatchObject({ rdev: 286_327_664 });
    expect(lstatSync(`${temp.path}/char`).isCharacterDevice()).toBe(true);
  });

  it('report errors with path and call', () => {
    const missing = '/nonexistent/\udcff';
    const times = { seconds: 0, nanoseconds: 0 };
    const failing: [string, () => unknown][] = [
      ['llistxattr', () => calls.listXattrs(missing)],
      ['lgetxattr', () => calls.getXattr(missing, 'user.a')],
      ['lsetxattr', () => calls.setXattr(missing, 'user.a', new Uint8Array())],
      ['lremovexattr', () => calls.removeXattr(missing, 'user.a')],
      ['utimensat', () => calls.setTimes(missing, times, times)],
      ['mknod', () => calls.makeNode?.(missing, 0o010600, 0)],
    ];
    for (const [call, run] of failing) {
      const context = { path: missing, call, errno: 'ENOENT' };
      expect(run).toThrow(expect.objectContaining({ code: 'not-found', context }));
    }
  });

  it('never act on what stands before a NUL', () => {
    using temp = makeTempDir();
    mkdirSync(`${temp.path}/a`);
    expect(() => calls.makeNode?.(`${temp.path}/b\0c`, 0o010600, 0)).toThrow(/EINVAL|invalid argument/);
    expect(() => calls.listXattrs(`${temp.path}/a\0b`)).toThrow(expect.objectContaining({ code: 'io' }));
    expect(() => calls.getXattr(`${temp.path}/a`, 'user.a\0b')).toThrow(expect.objectContaining({ code: 'io' }));
    expect(readdirSync(temp.path)).toEqual(['a']);
  });

  it('are exact while the collector moves memory', () => {
    using temp = makeTempDir();
    for (let index = 0; index < 20_000; index++) {
      const garbage = Array.from({ length: 20 }, () => new BigInt64Array(4));
      calls.setTimes(temp.path, { seconds: garbage.length, nanoseconds: 0 }, { seconds: index, nanoseconds: index });
    }
    expect(statSync(temp.path, { bigint: true })).toMatchObject({
      atimeNs: 20_000_000_000n,
      mtimeNs: 19_999_000_019_999n,
    });
  });

  it('work in worker threads', async () => {
    using temp = makeTempDir();
    writeFileSync(`${temp.path}/file`, 'x');
    const module = new URL('../src/native/native.ts', import.meta.url).href;
    const code = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.module).then(({ loadNative }) => {
        const native = loadNative();
        const times = { seconds: workerData.seconds, nanoseconds: 5 };
        for (let i = 0; i < 1000; i++) native.setTimes(workerData.path, times, times);
        parentPort.postMessage(native.listXattrs(workerData.path).length);
      });`;
    const run = (seconds: number): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const workerData = { module, path: `${temp.path}/file`, seconds };
        const worker = new Worker(code, { eval: true, workerData });
        worker.once('message', resolve).once('error', reject);
      });
    expect(await Promise.all([run(10), run(11)])).toEqual([0, 0]);
    expect([10_000_000_005n, 11_000_000_005n]).toContain(statSync(`${temp.path}/file`, { bigint: true }).mtimeNs);
  });
});

describe('system errors', () => {
  it('get codes', () => {
    expect(systemError('mknod', '/p', 1)).toMatchObject({
      code: 'denied',
      message: 'mknod /p: operation not permitted',
    });
    expect(systemError('lsetxattr', '/p', 28).code).toBe('no-space');
    expect(systemError('lsetxattr', '/p', 5).code).toBe('io');
  });

  it('come from node:fs too', () => {
    const caught = ((): unknown => {
      try {
        return readFileSync('/nonexistent/file');
      } catch (error) {
        return error;
      }
    })();
    const error = fromNodeError(caught, '/nonexistent/file');
    expect(error).toMatchObject({
      code: 'not-found',
      context: { errno: 'ENOENT', call: 'open', path: '/nonexistent/file' },
    });
    expect(error.cause).toBe(caught);
    expect(fromNodeError(error, '/other')).toBe(error);
    expect(fromNodeError('odd', '/p').code).toBe('io');
  });
});
