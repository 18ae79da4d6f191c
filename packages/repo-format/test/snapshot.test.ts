import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../src/errors.ts';
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../src/snapshot.ts';

const box = { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false, numRuns: 1000 };
const corrupt = expect.objectContaining({ name: 'EngineError', code: 'corrupt' });

const TREE = '3c0947a60f87ab0e8b37f78e0373d2391c758be0f8eaa3c6c172d6b20bc1c405';

/** Written by restic 0.19.1 with `--tag 'a&b' --exclude '<x>'`; only the path was changed. */
const BY_RESTIC = String.raw`{"time":"2026-11-22T10:41:24.741594275-03:30","tree":"${TREE}","paths":["/home/r/data"],"hostname":"vm","username":"root","excludes":["\u003cx\u003e"],"tags":["a\u0026b"],"program_version":"restic 0.19.1","summary":{"backup_start":"2026-11-22T10:41:24.741594275-03:30","backup_end":"2026-11-22T10:41:25.285211004-03:30","files_new":24,"files_changed":0,"files_unmodified":0,"dirs_new":2,"dirs_changed":0,"dirs_unmodified":0,"data_blobs":24,"tree_blobs":3,"data_added":11339,"data_added_packed":4649,"total_files_processed":24,"total_bytes_processed":62}}`;

const FULL: Snapshot = {
  time: '2026-11-22T12:00:00Z',
  parent: TREE.replaceAll('3', 'a'),
  tree: TREE,
  paths: ['/b', '/a<', '/b'],
  hostname: 'höst',
  username: 'user',
  uid: 1000,
  gid: 100,
  excludes: ['*.o'],
  tags: ['', 'x'],
  original: TREE.replaceAll('0', 'b'),
  programVersion: 'program 1',
  summary: {
    backupStart: '2026-11-22T12:00:00Z',
    backupEnd: '2026-11-22T12:00:01.5Z',
    filesNew: 1,
    filesChanged: 2,
    filesUnmodified: 3,
    dirsNew: 4,
    dirsChanged: 5,
    dirsUnmodified: 6,
    dataBlobs: 7,
    treeBlobs: 8,
    dataAdded: 9,
    dataAddedPacked: 10,
    totalFilesProcessed: 11,
    totalBytesProcessed: 2 ** 53 - 1,
    unknown: { total_duration: '1.50' },
  },
  unknown: { label: '"l"', delete: '{"After":1.0}' },
};

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(snapshot: Snapshot): string {
  return new TextDecoder().decode(encodeSnapshot(snapshot));
}

describe('snapshots', () => {
  it('of restic come out of reading and writing unchanged', () => {
    const snapshot = decodeSnapshot(bytesOf(BY_RESTIC));
    expect(snapshot).toMatchObject({
      tree: TREE,
      paths: ['/home/r/data'],
      excludes: ['<x>'],
      tags: ['a&b'],
      uid: undefined,
      summary: { filesNew: 24, dataAddedPacked: 4649, backupEnd: '2026-11-22T10:41:25.285211004-03:30' },
    });
    expect(textOf(snapshot)).toBe(BY_RESTIC);
    expect(decodeSnapshot(bytesOf(`${BY_RESTIC}\n`))).toEqual(snapshot);
  });

  it('keep every field, and the order of keys', () => {
    const text = textOf(FULL);
    expect(decodeSnapshot(bytesOf(text))).toEqual(FULL);
    expect(Object.keys(JSON.parse(text) as object).join(' ')).toBe(
      'time parent tree paths hostname username uid gid excludes tags original program_version summary label delete',
    );
    expect(text).toContain(String.raw`"paths":["/b","/a\u003c","/b"]`);
    expect(text).toContain(
      '"total_bytes_processed":9007199254740991,"total_duration":1.50},"label":"l","delete":{"After":1.0}}',
    );
  });

  it('leave empty values out', () => {
    const minimal: Snapshot = { time: '2026-11-22T12:00:00Z', tree: TREE, paths: [] };
    const expected = `{"time":"2026-11-22T12:00:00Z","tree":"${TREE}","paths":[]}`;
    expect(textOf(minimal)).toBe(expected);
    const empty = {
      hostname: '',
      username: '',
      uid: 0,
      gid: 0,
      excludes: [],
      tags: [],
      programVersion: '',
      unknown: {},
    };
    expect(textOf({ ...minimal, ...empty })).toBe(expected);
    expect(
      decodeSnapshot(bytesOf(`{"time":"2026-11-22T12:00:00Z","tree":"${TREE}","paths":null,"parent":null}`)),
    ).toEqual(minimal);
  });

  it('lose the bytes of paths that are not UTF-8, as in restic', () => {
    expect(textOf({ time: FULL.time, tree: TREE, paths: ['/\udcff'] })).toContain(String.raw`"paths":["/\ufffd"]`);
  });

  it.each([
    '',
    '[]',
    'null',
    '{}',
    `{"tree":"${TREE}"}`,
    '{"time":"2026-11-22T12:00:00Z"}',
    `{"time":"now","tree":"${TREE}"}`,
    `{"time":"2026-11-22T12:00:00Z","tree":null}`,
    ...['"paths":"/"', '"paths":[1]', '"hostname":1', '"uid":-1', '"uid":4294967296', '"tags":{}', '"parent":""'].map(
      (member) => `{"time":"2026-11-22T12:00:00Z","tree":"${TREE}",${member}}`,
    ),
    ...[
      '[]',
      '1',
      '{}',
      '{"backup_start":"2026-11-22T12:00:00Z","backup_end":"2026-11-22T12:00:00Z","files_new":0.5}',
    ].map((summary) => `{"time":"2026-11-22T12:00:00Z","tree":"${TREE}","summary":${summary}}`),
  ])('are refused as %s', (text) => {
    expect(() => decodeSnapshot(bytesOf(text))).toThrow(corrupt);
  });

  it('with numbers that are not integers cannot be written', () => {
    expect(() => encodeSnapshot({ ...FULL, uid: -1 })).toThrow(RangeError);
  });

  it('with flipped bits are read or refused with an error of the engine', () => {
    const bytes = encodeSnapshot(FULL);
    const flip = fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 7 }));
    fc.assert(
      fc.property(fc.array(flip, { minLength: 1, maxLength: 3 }), (flips) => {
        const damaged = Buffer.from(bytes);
        for (const [at, bit] of flips) damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        try {
          expect(textOf(decodeSnapshot(damaged))).toContain('"tree":"');
        } catch (error) {
          expect(EngineError.is(error, 'corrupt')).toBe(true);
        }
      }),
      box,
    );
  });

  it('survive writing and reading with any text', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(fc.array(text), text, fc.array(text, { minLength: 1 }), (paths, hostname, tags) => {
        const snapshot: Snapshot = { time: FULL.time, tree: TREE, paths, hostname, tags };
        expect(decodeSnapshot(encodeSnapshot(snapshot))).toEqual(snapshot);
      }),
      box,
    );
  });
});
