import { describe, expect, it } from 'vitest';
import { fileMode, permissionBits, toStMode } from '../src/tree/mode.ts';

/** st_mode, type and mode as restic 0.19.1 recorded them. */
const OBSERVED = [
  [0o100644, 'file', 420],
  [0o040755, 'dir', 2147484141],
  [0o043777, 'dir', 2152727039],
  [0o041777, 'dir', 2148532735],
  [0o120777, 'symlink', 134218239],
  [0o060640, 'dev', 67109280],
  [0o020640, 'chardev', 69206432],
  [0o010644, 'fifo', 33554852],
  [0o104755, 'file', 8389101],
  [0o102755, 'file', 4194797],
  [0o101777, 'file', 1049087],
  [0o106711, 'file', 12583369],
  [0o100000, 'file', 0],
  [0o140755, 'socket', 16777709],
] as const;

describe('modes', () => {
  it.each(OBSERVED)('records %o as %s %i', (stMode, type, mode) => {
    expect(fileMode(stMode)).toEqual({ type, mode });
    expect(toStMode(mode)).toBe(stMode);
    expect(permissionBits(mode)).toBe(stMode & 0o7777);
  });

  it('survives both ways for every st_mode of a known type', () => {
    const lost: string[] = [];
    for (const format of [0o010000, 0o020000, 0o040000, 0o060000, 0o100000, 0o120000, 0o140000]) {
      for (let bits = 0; bits <= 0o7777; bits++) {
        const { mode } = fileMode(format | bits);
        if (toStMode(mode) !== (format | bits)) lost.push((format | bits).toString(8));
      }
    }
    expect(lost).toEqual([]);
  });

  it('takes an unknown format for irregular', () => {
    expect(fileMode(0o150600)).toEqual({ type: 'irregular', mode: 524288 + 0o600 });
    expect(toStMode(524288 + 0o600)).toBe(0o600);
  });
});
