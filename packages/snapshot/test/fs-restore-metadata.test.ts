import { chmodSync, lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { EngineError, type Node, UTC } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { loadNative, type NativeCalls } from '../src/native/native.ts';
import { createMetadataWriter, isPrivileged, type MetadataWriterSettings } from '../src/restore/sink-fs/metadata.ts';
import { createSpecialFile } from '../src/restore/special.ts';
import { lstatExact, readMetadata } from '../src/source/fs/metadata.ts';
import { createUserDatabase } from '../src/source/fs/users.ts';
import { makeTempDir } from './temp-dir.ts';

const native = loadNative();
const root = isPrivileged();
const users = createUserDatabase();

function read(path: string): Node {
  const onProblem = (problem: EngineError): never => {
    throw problem;
  };
  return readMetadata({ path, name: 'n', onProblem }, lstatExact(path), {
    zone: UTC,
    users,
    native,
    withAtime: true,
    deviceIdForHardlinks: false,
  });
}

function apply(path: string, node: Node, overrides: Partial<MetadataWriterSettings> = {}): EngineError[] {
  const problems: EngineError[] = [];
  const writer = createMetadataWriter({ native, privileged: root, ...overrides });
  writer.apply(path, node, (problem) => problems.push(problem));
  return problems;
}

/** Calls that keep attributes in a map, for file systems without them. */
function fakeCalls(attributes: Map<string, Uint8Array>, overrides: Partial<NativeCalls> = {}): NativeCalls {
  return {
    listXattrs: () => [...attributes.keys()],
    getXattr: () => null,
    setXattr: (_path, name, value) => void attributes.set(name, value),
    removeXattr: (_path, name) => void attributes.delete(name),
    setTimes: () => undefined,
    makeNode: undefined,
    ...overrides,
  };
}

describe('createMetadataWriter', () => {
  it.runIf(native !== undefined)('restores what was read, to the nanosecond, where there are native calls', () => {
    using temp = makeTempDir();
    const path = `${temp.path}/a`;
    mkdirSync(path);
    const times = { mtime: '1969-12-31T23:59:58.000000001Z', atime: '2262-04-11T23:47:16.854775807Z' };
    const node: Node = { ...read(path), ...times, mode: 2 ** 31 + 2 ** 20 + 0o751 };
    expect(apply(path, node)).toEqual([]);
    expect({ ...read(path), ctime: '' }).toEqual({ ...node, ctime: '' });
  });

  it('sets times to the microsecond without native calls', () => {
    using temp = makeTempDir();
    const path = `${temp.path}/a`;
    for (const [mtime, expected] of [
      ['2020-09-13T13:56:40.25+01:30', 1_600_000_000_250_000n],
      ['2020-09-13T12:26:40.123456789Z', 1_600_000_000_123_456n],
      ['1969-12-31T23:59:58.5Z', -1_500_000n],
    ] as const) {
      writeFileSync(path, '');
      expect(apply(path, { ...read(path), mtime, atime: mtime }, { native: undefined })).toEqual([]);
      const difference = lstatExact(path).mtimeNs / 1000n - expected;
      expect(difference >= -1n && difference <= 1n).toBe(true);
    }
  });

  it('does not touch what a link points to', () => {
    using temp = makeTempDir();
    const target = `${temp.path}/target`;
    writeFileSync(target, '');
    chmodSync(target, 0o600);
    symlinkSync('target', `${temp.path}/link`);
    const before = lstatSync(target).mtimeMs;
    const node: Node = { ...read(`${temp.path}/link`), mtime: '2001-01-01T00:00:00Z' };
    expect(apply(`${temp.path}/link`, node)).toEqual([]);
    expect(lstatSync(target)).toMatchObject({ mode: 0o100600, mtimeMs: before });
    expect(lstatSync(`${temp.path}/link`).mtimeMs).toBe(978_307_200_000);
    expect(readlinkSync(`${temp.path}/link`)).toBe('target');
  });

  it('sets attributes and removes others, as far as they are selected', () => {
    using temp = makeTempDir();
    const attributes = new Map([
      ['user.old', Uint8Array.of(1)],
      ['security.label', Uint8Array.of(2)],
    ]);
    const extendedAttributes = [
      { name: 'user.new', value: Uint8Array.of(3) },
      { name: 'user.null', value: null },
      { name: 'trusted.x', value: Uint8Array.of(4) },
    ];
    const node: Node = { ...read(temp.path), extendedAttributes };
    const selectXattr = (name: string): boolean => name.startsWith('user.');
    expect(apply(temp.path, node, { native: fakeCalls(attributes), selectXattr })).toEqual([]);
    expect([...attributes]).toEqual([
      ['security.label', Uint8Array.of(2)],
      ['user.new', Uint8Array.of(3)],
      ['user.null', new Uint8Array()],
    ]);
  });

  it('attempts every step and reports each failure', () => {
    using temp = makeTempDir();
    const refuse = (call: string, code: string) => (): never => {
      throw Object.assign(new Error(code), { code, syscall: call });
    };
    const extendedAttributes = ['user.a', 'user.b'].map((name) => ({ name, value: null }));
    const node: Node = { ...read(temp.path), extendedAttributes, mode: 2 ** 31 + 0o711 };
    const failing = fakeCalls(new Map(), {
      setXattr: refuse('lsetxattr', 'EPERM'),
      setTimes: refuse('utimensat', 'EIO'),
    });
    const calls = (privileged: boolean): unknown[] =>
      apply(temp.path, node, { native: failing, privileged }).map((problem) => problem.context.call);
    expect(calls(true)).toEqual(['lsetxattr', 'lsetxattr', 'utimensat']);
    expect(calls(false)).toEqual(['utimensat']);
    expect(lstatSync(temp.path).mode & 0o777).toBe(0o711);
  });

  it('reports once what no entry can have', () => {
    using temp = makeTempDir();
    const node: Node = { ...read(temp.path), extendedAttributes: [{ name: 'user.a', value: null }] };
    const problems: EngineError[] = [];
    const writer = createMetadataWriter({ native: undefined, privileged: root });
    for (let count = 0; count < 3; count++) writer.apply(temp.path, node, (problem) => problems.push(problem));
    expect(problems.map((problem) => problem.code)).toEqual(['unsupported']);
    expect(apply(temp.path, node, { native: undefined, selectXattr: () => false })).toEqual([]);
  });

  it('reports an entry that is not there', () => {
    using temp = makeTempDir();
    const problems = apply(`${temp.path}/none`, read(temp.path));
    expect(problems.length).toBeGreaterThan(2);
    expect(problems.every((problem) => EngineError.is(problem, 'not-found'))).toBe(true);
  });

  it.runIf(root)('changes owners, also by name, as root', () => {
    using temp = makeTempDir();
    const node: Node = { ...read(temp.path), uid: 12_345, gid: 54_321, user: 'ann', group: 'unknown' };
    expect(apply(temp.path, node)).toEqual([]);
    expect(lstatSync(temp.path)).toMatchObject({ uid: 12_345, gid: 54_321 });
    const ownershipByName = {
      ...users,
      userId: (name: string) => (name === 'ann' ? 77 : undefined),
      groupId: () => undefined,
    };
    expect(apply(temp.path, node, { ownershipByName })).toEqual([]);
    expect(lstatSync(temp.path)).toMatchObject({ uid: 77, gid: 0 });
  });

  it.runIf(!root)('is silent about owners it may not change, unless it should be able to', () => {
    using temp = makeTempDir();
    const node: Node = { ...read(temp.path), uid: 0, gid: 0 };
    expect(apply(temp.path, node)).toEqual([]);
    expect(apply(temp.path, node, { privileged: true }).map((problem) => problem.code)).toEqual(['denied']);
  });
});

describe('createSpecialFile', () => {
  const special = (type: Node['type'], mode: number, device?: number): Node =>
    ({ ...read('/'), type, mode, device }) satisfies Node;

  it('says what it cannot do', () => {
    const create = (): void => createSpecialFile('/nonexistent/p', special('fifo', 2 ** 25 + 0o644), undefined);
    expect(create).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });

  it.runIf(native?.makeNode !== undefined)('creates pipes where there are native calls', () => {
    using temp = makeTempDir();
    const node = special('fifo', 2 ** 25 + 0o644);
    createSpecialFile(`${temp.path}/p`, node, native);
    expect(lstatSync(`${temp.path}/p`).mode).toBe(0o010600);
    const again = (): void => createSpecialFile(`${temp.path}/p`, node, native);
    expect(again).toThrow(expect.objectContaining({ code: 'already-exists' }));
  });

  it.runIf(root && native?.makeNode !== undefined)('creates devices as root where there are native calls', () => {
    using temp = makeTempDir();
    createSpecialFile(`${temp.path}/c`, special('chardev', 2 ** 26 + 2 ** 21 + 0o640, 259), native);
    createSpecialFile(`${temp.path}/b`, special('dev', 2 ** 26 + 0o640, 286_327_664), native);
    expect(lstatSync(`${temp.path}/c`)).toMatchObject({ mode: 0o020600, rdev: 259 });
    expect(lstatSync(`${temp.path}/b`)).toMatchObject({ mode: 0o060600, rdev: 286_327_664 });
  });
});
