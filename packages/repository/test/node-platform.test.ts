import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, it } from 'vitest';
import { nodePlatform } from '../src/node-platform.ts';

function offsetWith(tz: string): number {
  return nodePlatform({ TZ: tz }).zone.offsetAt(0);
}

describe('the zone of the platform', () => {
  it('follows TZ and falls back to UTC', () => {
    expect(offsetWith('')).toBe(0);
    expect(offsetWith('No/Such')).toBe(0);
    // A directory, and a file that is no zone.
    expect(offsetWith('/')).toBe(0);
    expect(offsetWith('/etc/passwd')).toBe(0);
  });

  it('has the name that Go gives it', () => {
    const named = (tz: string): string | undefined => nodePlatform({ TZ: tz }).zone.name;
    expect(['', 'UTC', 'No/Such', 'Europe/Berlin', ':Europe/Berlin'].map(named)).toEqual([
      'UTC',
      'UTC',
      'UTC',
      'Europe/Berlin',
      'Europe/Berlin',
    ]);
    // Where there is no such file.
    expect(['Local', 'UTC']).toContain(nodePlatform({}).zone.name);
  });

  it('reads a zone file by its path', () => {
    const folder = mkdtempSync(join(tmpdir(), 'zone-'));
    const path = join(folder, 'zone');
    // TZif version 1 with one local time type: one hour east, abbreviated "X".
    const header = Buffer.concat([Buffer.from('TZif\0'), Buffer.alloc(15)]);
    const counts = Buffer.from(Uint32Array.of(0, 0, 0, 0, 1, 2).buffer).swap32();
    writeFileSync(path, Buffer.concat([header, counts, Buffer.from([0, 0, 0x0e, 0x10, 0, 0, 0x58, 0])]));
    const offset = offsetWith(path);
    rmSync(folder, { recursive: true });
    expect(offset).toBe(3600);
  });
});

describe('the clock and the processes of the platform', () => {
  it('is the clock of the machine', () => {
    const before = Date.now();
    const { seconds, nanoseconds } = nodePlatform().now();
    const ms = seconds * 1000 + nanoseconds / 1e6;
    expect(ms).toBeGreaterThanOrEqual(before);
    expect(ms).toBeLessThanOrEqual(Date.now() + 1);
    expect(nanoseconds).toBeLessThan(1e9);
  });

  it('knows which processes live', () => {
    const { isAlive } = nodePlatform();
    expect(isAlive(process.pid)).toBe(true);
    expect(isAlive(1)).toBe(true);
    // Above the largest number that Linux gives out.
    expect(isAlive(2 ** 22 + 1)).toBe(false);
  });
});
