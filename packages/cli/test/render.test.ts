import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupProgress, BackupResult, RestoreProgress } from 'restic-engine';
import { statusJson as backupStatus, summaryJson as backupSummary } from '../src/render/backup.ts';
import { formatBytes, formatDuration, formatPercent } from '../src/render/bytes.ts';
import { toJson } from '../src/render/json.ts';
import { formatMode } from '../src/render/mode.ts';
import { quoteName, withoutControls } from '../src/render/quote.ts';
import { statusJson as restoreStatus, summaryJson as restoreSummary } from '../src/render/restore.ts';
import { PAPER } from '../src/render/screen.ts';
import { renderTable } from '../src/render/table.ts';
import { canonicalTime, formatExactTime } from '../src/render/time.ts';
import { displayWidth, wrapText } from '../src/render/width.ts';

describe('numbers', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.000 KiB'],
    [300_006, '292.975 KiB'],
    [360_000_000, '343.323 MiB'],
    [5 * 2 ** 40, '5.000 TiB'],
    [2 ** 51, '2048.000 TiB'],
    // In the middle between two: the even one, as with Go.
    [5440, '5.312 KiB'],
    [5312, '5.188 KiB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('shows durations and percentages', () => {
    expect([0, 999, 61_000, 3_600_000, 45_296_000].map(formatDuration)).toEqual([
      '0:00',
      '0:00',
      '1:01',
      '1:00:00',
      '12:34:56',
    ]);
    expect([formatPercent(1, 3), formatPercent(5, 4), formatPercent(0, 0)]).toEqual(['33.33%', '100.00%', '0.00%']);
  });

  it('shows times with all digits and their zone', () => {
    expect(formatExactTime('2026-11-22T13:58:09.034143347Z')).toBe('2026-11-22 13:58:09.034143347 +0000 UTC');
    expect(formatExactTime('2026-11-22T13:58:09+05:30')).toBe('2026-11-22 13:58:09 +0530 +0530');
  });

  it('shows times as Go writes them, whoever wrote them', () => {
    const texts = ['T10:00:00.120+02:00', 'T10:00:00.000Z', 'T10:00:00.5+00:00', 'T10:20:30-00:00', 'T10:00:00+10:00'];
    expect(texts.map(canonicalTime)).toEqual([
      'T10:00:00.12+02:00',
      'T10:00:00Z',
      'T10:00:00.5Z',
      'T10:20:30Z',
      'T10:00:00+10:00',
    ]);
  });
});

describe('formatMode', () => {
  it.each([
    [420, '-rw-r--r--'],
    [2_147_484_141, 'drwxr-xr-x'],
    [134_218_239, 'Lrwxrwxrwx'],
    [2 ** 26 + 2 ** 21 + 0o620, 'Dcrw--w----'],
    [2 ** 31 + 2 ** 20 + 0o777, 'dtrwxrwxrwx'],
    [2 ** 23 + 0o755, 'urwxr-xr-x'],
    [2 ** 25, 'p---------'],
  ])('%d is %s', (mode, text) => {
    expect(formatMode(mode)).toBe(text);
  });
});

describe('renderTable', () => {
  const columns = [
    { header: 'ID', cell: (row: readonly string[]) => row[0] ?? '' },
    { header: 'Tags    ', cell: (row: readonly string[]) => row[1] ?? '' },
    { header: 'Paths', cell: (row: readonly string[]) => row[2] ?? '' },
  ];

  it('lines up columns and the lines in their cells', () => {
    const rows = [
      ['12345678', 'a', '/srv\n/home/ann'],
      ['87654321', '', '/x'],
    ];
    expect(renderTable(columns, rows)).toEqual([
      'ID        Tags      Paths',
      '-----------------------------',
      '12345678  a         /srv',
      '                    /home/ann',
      '87654321            /x',
      '-----------------------------',
    ]);
    expect(renderTable(columns, rows, { spaced: true })[4]).toBe('');
  });

  it('counts columns of the terminal, not code units', () => {
    const texts = ['abc', 'äöü', 'e\u0301', '日本', '한국', '\u1112\u1161\u11ab', '👍', '🇨🇭', '\u200d', 'ﾊﾝ'];
    expect(texts.map(displayWidth)).toEqual([3, 3, 1, 4, 4, 2, 2, 2, 0, 2]);
  });

  it('wraps what a terminal has no room for, and loses nothing', () => {
    const wide = columns.map((column) => ({ ...column, wraps: column.header !== 'ID' }));
    const rows = [
      ['12345678', 'nightly,weekly', '/home/ann/日本語/notes'],
      ['87654321', '', '/x'],
    ];
    const lines = renderTable(wide, rows, { screen: { ...PAPER, columns: 34 } });
    expect(lines).toEqual([
      'ID        Tags         Paths',
      '-'.repeat(34),
      '12345678  nightly,     /home/ann/',
      '          weekly       日本語/',
      '                       notes',
      '87654321               /x',
      '-'.repeat(34),
    ]);
    expect(renderTable(wide, rows, { screen: { ...PAPER, columns: 200 } })).toEqual(renderTable(wide, rows));
    // Narrower than it can be.
    expect(renderTable(wide, rows, { screen: { ...PAPER, columns: 5 } })[1]).toBe('-'.repeat(28));
  });
});

describe('wrapText', () => {
  it('breaks any text into lines that fit and make the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20 }), (text, width) => {
        const lines = wrapText(text, width);
        expect(lines.join('')).toBe(text);
        for (const line of lines) expect(displayWidth(line) <= width || Array.from(line).length === 1).toBe(true);
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });
});

describe('names on a terminal', () => {
  // What restic 0.19.1 prints of such names with `backup -vv`.
  it.each([
    ['/data/deep/er/ü', '/data/deep/er/ü'],
    ['/data/日本語 👍', '/data/日本語 👍'],
    ['/data/ctl\u001b[31m\nname', String.raw`"/data/ctl\x1b[31m\nname"`],
    ['/data/\udcff', String.raw`"/data/\xff"`],
    ['say "hi"', 'say "hi"'],
    ['say "hi"\u0007\\', String.raw`"say \"hi\"\a\\"`],
    ['\u202etxt.exe', String.raw`"\u202etxt.exe"`],
    ['\u{e0001}', String.raw`"\U000e0001"`],
    ['\ufffd\u0085', String.raw`"�\u0085"`],
  ])('%j are %s', (name, shown) => {
    expect(quoteName(name)).toBe(shown);
  });

  it('never move the cursor', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // oxlint-disable-next-line no-control-regex -- they are what is looked for
        expect(quoteName(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        // oxlint-disable-next-line no-control-regex -- they are what is looked for
        expect(withoutControls(text)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
    expect(withoutControls('a\tb\nc\u001b]0;title\u0007')).toBe(String.raw`a${'\t'}b${'\n'}c\x1b]0;title\a`);
  });
});

describe('toJson', () => {
  it('keeps 64 bits', () => {
    expect(toJson({ inode: 2n ** 64n - 1n, list: [2n ** 60n], small: 5 })).toBe(
      '{"inode":18446744073709551615,"list":[1152921504606846976],"small":5}',
    );
  });

  it('has U+FFFD for bytes that are not UTF-8', () => {
    expect(toJson({ name: 'a\udcff' })).toBe('{"name":"a\ufffd"}');
  });
});

// The members and their order are those that restic 0.19.1 prints.
describe('messages of a backup', () => {
  const progress: BackupProgress = {
    filesDone: 2,
    filesTotal: 6,
    bytesDone: 100,
    bytesTotal: 400,
    dirsDone: 1,
    errors: 1,
    currentFiles: ['/a', '/b'],
  };

  it('tell the status', () => {
    expect(JSON.stringify(backupStatus(progress, 2000))).toBe(
      '{"message_type":"status","seconds_elapsed":2,"seconds_remaining":6,"percent_done":0.25,"total_files":6,"files_done":2,"total_bytes":400,"bytes_done":100,"error_count":1,"current_files":["/a","/b"]}',
    );
  });

  it('leave out what is zero', () => {
    const start = { filesDone: 0, bytesDone: 0, dirsDone: 0, errors: 0, currentFiles: [] };
    expect(backupStatus(start, 10)).toEqual({ message_type: 'status', percent_done: 0 });
  });

  it('sum up', () => {
    const summary = {
      backupStart: 's',
      backupEnd: 'e',
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
      totalBytesProcessed: 12,
    };
    const result: BackupResult = {
      snapshotId: 'ab'.repeat(32),
      snapshot: { time: 't', tree: 'cd'.repeat(32), paths: [] },
      parentId: undefined,
      summary,
      errors: [],
      problems: [],
      durationMs: 1500,
    };
    expect(JSON.stringify(backupSummary(result, false))).toBe(
      `{"message_type":"summary","files_new":1,"files_changed":2,"files_unmodified":3,"dirs_new":4,"dirs_changed":5,"dirs_unmodified":6,"data_blobs":7,"tree_blobs":8,"data_added":9,"data_added_packed":10,"total_files_processed":11,"total_bytes_processed":12,"total_duration":1.5,"backup_start":"s","backup_end":"e","snapshot_id":"${'ab'.repeat(32)}"}`,
    );
    const dry = backupSummary({ ...result, snapshotId: undefined }, true);
    expect(dry).not.toHaveProperty('snapshot_id');
    expect(dry).toHaveProperty('dry_run', true);
  });
});

describe('messages of a restore', () => {
  const progress: RestoreProgress = {
    filesDone: 3,
    filesTotal: 4,
    filesSkipped: 2,
    filesDeleted: 1,
    bytesDone: 50,
    bytesTotal: 200,
    bytesSkipped: 20,
  };
  const counts = { ...progress, filesRestored: 3, bytesRestored: 50 };

  it('tell the status and sum up', () => {
    const members =
      '"total_files":4,"files_restored":3,"files_skipped":2,"files_deleted":1,"total_bytes":200,"bytes_restored":50,"bytes_skipped":20}';
    expect(JSON.stringify(restoreStatus(counts, 3100))).toBe(
      `{"message_type":"status","seconds_elapsed":3,"percent_done":0.25,${members}`,
    );
    expect(JSON.stringify(restoreSummary(counts, 999))).toBe(`{"message_type":"summary",${members}`);
    expect(JSON.stringify(restoreSummary(counts, 2900))).toBe(
      `{"message_type":"summary","seconds_elapsed":2,${members}`,
    );
  });
});
