import { chmodSync, linkSync, lutimesSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { type EngineError, type Node, type TimeZone, UTC } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { compilePatterns } from '../src/filter/pattern.ts';
import { loadNative } from '../src/native/native.ts';
import { systemError } from '../src/native/system-error.ts';
import { listDirectory, readLink } from '../src/source/fs/list.ts';
import { lstatExact, type MetadataSettings, readMetadata, statExact } from '../src/source/fs/metadata.ts';
import { baseName, fsPath, joinPath, parentPath } from '../src/source/fs/path.ts';
import { createSelector, type SelectorOptions } from '../src/source/fs/select.ts';
import { createUserDatabase } from '../src/source/fs/users.ts';
import { makeTempDir } from './temp-dir.ts';

const root = process.geteuid?.() === 0;
const nobody = createUserDatabase({ passwdFile: '/nonexistent', groupFile: '/nonexistent' });
const settings: MetadataSettings = {
  zone: UTC,
  users: nobody,
  native: loadNative(),
  withAtime: false,
  deviceIdForHardlinks: false,
};

function unexpected(problem: EngineError): never {
  throw problem;
}

function describeEntry(path: string, overrides: Partial<MetadataSettings> = {}): Node {
  const request = { path, name: baseName(path), onProblem: unexpected };
  return readMetadata(request, lstatExact(path), { ...settings, ...overrides });
}

describe('paths', () => {
  it('become bytes only where they must', () => {
    expect(fsPath('/é😀')).toBe('/é😀');
    expect(fsPath('/a\udcff')).toEqual(Buffer.from([0x2f, 0x61, 0xff]));
  });

  it('are joined and taken apart', () => {
    expect([joinPath('/', 'a'), joinPath('/a', 'b')]).toEqual(['/a', '/a/b']);
    expect([parentPath('/a/b'), parentPath('/a'), parentPath('/')]).toEqual(['/a', '/', '/']);
    expect(baseName('/a/b')).toBe('b');
  });
});

describe('listDirectory', () => {
  it('gives names in byte order, whatever they are', () => {
    using temp = makeTempDir();
    const names = ['Z', 'a', 'é', '\ufffd', '\uff01', '\u{10000}', 'lat\udce4in', '\udcff'];
    for (const name of names) writeFileSync(fsPath(`${temp.path}/${name}`), '');
    expect(listDirectory(temp.path)).toEqual(['Z', 'a', 'lat\udce4in', 'é', '\uff01', '\ufffd', '\u{10000}', '\udcff']);
  });

  it('reads directories and links with odd names', () => {
    using temp = makeTempDir();
    const odd = `${temp.path}/\udcfe`;
    mkdirSync(fsPath(odd));
    symlinkSync(Buffer.from([0x61, 0xff]), fsPath(`${odd}/link`));
    expect(listDirectory(odd)).toEqual(['link']);
    expect(readLink(`${odd}/link`)).toBe('a\udcff');
  });
});

describe('users', () => {
  it('come from the files, first line first', () => {
    using temp = makeTempDir();
    const passwd = `${temp.path}/passwd`;
    const group = `${temp.path}/group`;
    writeFileSync(
      passwd,
      'root:x:0:0::/:\n#c:x:5:5::/:\n+nis:x:6:6::/:\nann:x:7:7::/:/bin/sh\ntwin:x:7:8::/:\nshort:x:9:9\n',
    );
    writeFileSync(group, 'wheel:x:0:\nstaff:x:50:ann,bob\nbad:x:y:\n');
    const users = createUserDatabase({ passwdFile: passwd, groupFile: group });
    expect([0, 5, 6, 7, 9].map((uid) => users.userName(uid))).toEqual(['root', undefined, undefined, 'ann', undefined]);
    expect([users.userId('ann'), users.userId('twin'), users.userId('x')]).toEqual([7, 7, undefined]);
    expect([users.groupName(50), users.groupName(0), users.groupName(1)]).toEqual(['staff', 'wheel', undefined]);
    expect(users.groupId('staff')).toBe(50);
    writeFileSync(passwd, '');
    expect(users.userName(7)).toBe('ann');
  });

  it('are nobody without the files', () => {
    expect(nobody.userName(0)).toBeUndefined();
    expect(nobody.groupId('root')).toBeUndefined();
  });
});

describe('readMetadata', () => {
  it('describes a file', () => {
    using temp = makeTempDir();
    const path = `${temp.path}/file`;
    writeFileSync(path, 'abc');
    linkSync(path, `${temp.path}/other`);
    chmodSync(path, 0o1640);
    utimesSync(path, 1, 1_600_000_000.25);
    const stat = lstatExact(path);
    const zone: TimeZone = { offsetAt: () => 5400 };
    const users = { ...nobody, userName: (uid: number) => `u${uid}`, groupName: (gid: number) => `g${gid}` };
    expect(describeEntry(path, { zone, users })).toEqual({
      name: 'file',
      type: 'file',
      mode: 0o640 + 2 ** 20,
      mtime: '2020-09-13T13:56:40.25+01:30',
      atime: '2020-09-13T13:56:40.25+01:30',
      ctime: expect.stringMatching(/\+01:30$/),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      user: `u${stat.uid}`,
      group: `g${stat.gid}`,
      inode: Number(stat.ino),
      deviceId: Number(stat.dev),
      size: 3,
      links: 2,
      content: null,
    });
    expect(describeEntry(path, { withAtime: true }).atime).toBe('1970-01-01T00:00:01Z');
  });

  it('describes directories, links and pipes', () => {
    using temp = makeTempDir();
    mkdirSync(`${temp.path}/dir`);
    symlinkSync('tar\ufffdget', `${temp.path}/link`);
    lutimesSync(`${temp.path}/link`, new Date(-1500), new Date(-1500));
    settings.native?.makeNode?.(`${temp.path}/pipe`, 0o010600, 0);
    const dir = describeEntry(`${temp.path}/dir`);
    expect(dir).toMatchObject({ type: 'dir', content: null });
    expect([dir.size, dir.links, dir.linkTarget, dir.device]).toEqual([undefined, undefined, undefined, undefined]);
    const link = { type: 'symlink', links: 1, linkTarget: 'tar\ufffdget', mtime: '1969-12-31T23:59:58.5Z' };
    expect(describeEntry(`${temp.path}/link`)).toMatchObject(link);
    if (settings.native === undefined) return;
    const pipe = describeEntry(`${temp.path}/pipe`);
    expect([pipe.type, pipe.links, pipe.mode]).toEqual(['fifo', undefined, 0o600 + 2 ** 25]);
  });

  it('describes sockets', async () => {
    using temp = makeTempDir();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${temp.path}/s`, resolve));
    try {
      expect(describeEntry(`${temp.path}/s`).type).toBe('socket');
    } finally {
      server.close();
    }
  });

  it.runIf(root && settings.native !== undefined)('describes devices, which only root can create', () => {
    using temp = makeTempDir();
    settings.native?.makeNode?.(`${temp.path}/b`, 0o060640, 286_327_664);
    settings.native?.makeNode?.(`${temp.path}/c`, 0o020640, 259);
    expect(describeEntry(`${temp.path}/b`)).toMatchObject({ type: 'dev', device: 286_327_664, links: 1 });
    expect(describeEntry(`${temp.path}/c`)).toMatchObject({ type: 'chardev', device: 259, links: 1 });
  });

  it('keeps 64-bit numbers exact', () => {
    using temp = makeTempDir();
    const stat = Object.assign(lstatExact(temp.path), { ino: -1n, dev: 2n ** 53n, nlink: 5n });
    const node = readMetadata({ path: temp.path, name: 'x', onProblem: unexpected }, stat, settings);
    expect([node.inode, node.deviceId]).toEqual([2n ** 64n - 1n, 2n ** 53n]);
  });

  it('follows links where asked to', () => {
    using temp = makeTempDir();
    symlinkSync('.', `${temp.path}/link`);
    const request = { path: `${temp.path}/link`, name: 'link', aboveTarget: true, onProblem: unexpected };
    const node = readMetadata(request, statExact(request.path), settings);
    expect(node).toMatchObject({ type: 'dir', inode: Number(lstatExact(temp.path).ino) });
  });

  it('goes on without attributes it cannot read, and says so', () => {
    using temp = makeTempDir();
    const problems: EngineError[] = [];
    const native = {
      ...settings.native,
      listXattrs: () => ['user.a', 'user.b', 'user.c'],
      getXattr: (_path: string, name: string) => {
        if (name === 'user.b') throw systemError('lgetxattr', temp.path, 5);
        return name === 'user.a' ? Uint8Array.of(1) : null;
      },
    } as unknown as NonNullable<MetadataSettings['native']>;
    const request = { path: temp.path, name: 'x', onProblem: (problem: EngineError) => problems.push(problem) };
    const node = readMetadata(request, lstatExact(temp.path), { ...settings, native });
    expect(node.extendedAttributes).toEqual([
      { name: 'user.a', value: Uint8Array.of(1) },
      { name: 'user.c', value: null },
    ]);
    expect(problems.map((problem) => problem.code)).toEqual(['io']);
  });

  it('forgives unreadable attributes only above targets', () => {
    using temp = makeTempDir();
    const native = {
      ...settings.native,
      listXattrs: () => {
        throw systemError('llistxattr', temp.path, 1);
      },
    } as unknown as NonNullable<MetadataSettings['native']>;
    const read = (aboveTarget: boolean): number => {
      let problems = 0;
      const request = { path: temp.path, name: 'x', aboveTarget, onProblem: () => problems++ };
      readMetadata(request, lstatExact(temp.path), { ...settings, native });
      return problems;
    };
    expect([read(true), read(false)]).toEqual([0, 1]);
  });
});

describe('createSelector', () => {
  const select = (options: Omit<SelectorOptions, 'onWarning'>, warnings: EngineError[] = []) => {
    const selector = createSelector({ ...options, onWarning: (warning) => warnings.push(warning) });
    return {
      byName: (path: string): boolean => selector.byName(path),
      byMetadata: (path: string): boolean => selector.byMetadata(path, lstatExact(path)),
    };
  };

  it('takes everything by default', () => {
    const selector = select({});
    expect(selector.byName('/etc/passwd') && selector.byMetadata('/etc/passwd')).toBe(true);
  });

  it('leaves out patterns and directories', () => {
    const exclude = [compilePatterns(['*.o']), compilePatterns(['*.TMP'], { ignoreCase: true })];
    const selector = select({ exclude, excludeDirectories: ['/home/ann/.cache/restic'] });
    expect(selector.byName('/src/a.o')).toBe(false);
    expect(selector.byName('/src/a.Tmp')).toBe(false);
    expect(selector.byName('/src/a.O')).toBe(true);
    expect(selector.byName('/home/ann/.cache/restic')).toBe(false);
    expect(selector.byName('/home/ann/.cache/restic/x')).toBe(false);
    expect(selector.byName('/home/ann/.cache/restic-other')).toBe(true);
  });

  it('leaves out what is too large, but no directory', () => {
    using temp = makeTempDir();
    writeFileSync(`${temp.path}/f`, '12345');
    expect(select({ excludeLargerThan: 4 }).byMetadata(`${temp.path}/f`)).toBe(false);
    expect(select({ excludeLargerThan: 5 }).byMetadata(`${temp.path}/f`)).toBe(true);
    expect(select({ excludeLargerThan: 0 }).byMetadata(temp.path)).toBe(true);
  });

  it('keeps only the tag file of a tagged directory', () => {
    using temp = makeTempDir();
    mkdirSync(`${temp.path}/d/sub`, { recursive: true });
    writeFileSync(`${temp.path}/d/.nobackup`, '');
    const selector = select({ excludeIfPresent: ['.nobackup'] });
    expect(selector.byMetadata(`${temp.path}/d`)).toBe(true);
    expect(selector.byMetadata(`${temp.path}/d/.nobackup`)).toBe(true);
    expect(selector.byMetadata(`${temp.path}/d/sub`)).toBe(false);
  });

  it('reads the header of tag files', () => {
    using temp = makeTempDir();
    const file = (dir: string, text: string): string => {
      mkdirSync(`${temp.path}/${dir}`);
      writeFileSync(`${temp.path}/${dir}/CACHEDIR.TAG`, text);
      writeFileSync(`${temp.path}/${dir}/x`, '');
      return `${temp.path}/${dir}/x`;
    };
    const warnings: EngineError[] = [];
    const selector = select({ excludeCaches: true, excludeIfPresent: ['tag:with:colon'] }, warnings);
    expect(selector.byMetadata(file('cache', 'Signature: 8a477f597d28d172789f06886806bc55\nmore'))).toBe(false);
    expect(selector.byMetadata(file('short', 'Signature'))).toBe(true);
    expect(selector.byMetadata(file('other', `Signature: ${'0'.repeat(40)}`))).toBe(true);
    expect(warnings.map((warning) => warning.code)).toEqual(['corrupt', 'corrupt']);
    writeFileSync(`${temp.path}/short/tag`, 'with:colon');
    expect(selector.byMetadata(`${temp.path}/short/x`)).toBe(true);
    const fresh = select({ excludeIfPresent: ['tag:with:colon'] });
    expect(fresh.byMetadata(`${temp.path}/short/x`)).toBe(false);
    expect(() => select({ excludeIfPresent: [':x'] })).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  it('stays on the devices of the targets and keeps mount points', () => {
    using temp = makeTempDir();
    mkdirSync(`${temp.path}/mount/sub`, { recursive: true });
    writeFileSync(`${temp.path}/mount/file`, '');
    const { dev } = lstatExact(temp.path);
    const selector = createSelector({ oneFileSystem: [temp.path], onWarning: unexpected });
    const on = (device: bigint, path: string) =>
      selector.byMetadata(path, Object.assign(lstatExact(path), { dev: device }));
    expect(on(dev, `${temp.path}/mount/file`)).toBe(true);
    expect(on(dev + 1n, `${temp.path}/mount/file`)).toBe(false);
    expect(on(dev + 1n, `${temp.path}/mount`)).toBe(true);
    expect(() => on(dev, '/etc')).toThrow(RangeError);
    const missing = () => createSelector({ oneFileSystem: ['/nonexistent'], onWarning: unexpected });
    expect(missing).toThrow(expect.objectContaining({ code: 'not-found' }));
  });

  const proc = process.platform === 'linux';
  it.runIf(proc)('meets a real mount point where /proc is one', () => {
    const selector = select({ oneFileSystem: ['/'] });
    expect([selector.byMetadata('/proc'), selector.byMetadata('/proc/self'), selector.byMetadata('/proc/sys')]).toEqual(
      [true, false, false],
    );
  });
});
