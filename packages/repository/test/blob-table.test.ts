import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlobType } from '@restic-engine/repo-format';
import { BlobTable } from '../src/index/blob-table.ts';
import type { BlobLocation } from '../src/index/blob-table.ts';
import { idOf } from './harness.ts';

const LIMIT = { interruptAfterTimeLimit: 2500, markInterruptAsFailure: false } as const;
const TYPES = ['data', 'tree'] as const;

/** What the table must do, in plain collections. */
class Model {
  readonly stored = new Map<string, BlobLocation[]>();
  readonly pending = new Set<string>();

  add(location: BlobLocation): void {
    const key = location.type + location.id;
    const copies = this.stored.get(key) ?? [];
    const isSame = copies.some(({ pack, offset }) => pack === location.pack && offset === location.offset);
    if (!isSame) this.stored.set(key, [...copies, location]);
  }

  claim(key: string): boolean {
    if (this.stored.has(key) || this.pending.has(key)) return false;
    this.pending.add(key);
    return true;
  }

  settle(location: BlobLocation): void {
    if (!this.pending.delete(location.type + location.id)) this.add(location);
    else
      this.stored.set(location.type + location.id, [...(this.stored.get(location.type + location.id) ?? []), location]);
  }
}

const ids = Array.from({ length: 12 }, (_, i) => idOf(i));
const packs = Array.from({ length: 4 }, (_, i) => idOf(1000 + i));
const blob = fc.record({
  kind: fc.constantFrom('add', 'claim', 'settle', 'drop'),
  id: fc.constantFrom(...ids),
  type: fc.constantFrom(...TYPES),
  pack: fc.constantFrom(...packs),
  offset: fc.constantFrom(0, 1, 0xffff_ffff),
  length: fc.nat(0xffff_ffff),
  uncompressedLength: fc.nat(0xffff_ffff),
});

const sorted = (locations: Iterable<BlobLocation>): BlobLocation[] =>
  [...locations].toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

const nameOf = ({ type, id, pack, offset, length, uncompressedLength }: BlobLocation): string =>
  [type, id, pack, offset, length, uncompressedLength].join(' ');

describe('the blob table', () => {
  it('does what a map would', () => {
    fc.assert(
      fc.property(fc.array(blob, { maxLength: 60 }), (steps) => {
        const table = new BlobTable();
        const model = new Model();
        for (const { kind, ...location } of steps) {
          const { type, id, pack, offset, length, uncompressedLength } = location;
          const place = [offset, length, uncompressedLength] as const;
          if (kind === 'add' && !model.pending.has(type + id)) {
            table.add(type, id, table.addPack(pack), ...place);
            model.add(location);
          } else if (kind === 'claim') {
            expect(table.claim(type, id)).toBe(model.claim(type + id));
          } else if (kind === 'settle') {
            table.settle(type, id, table.addPack(pack), ...place);
            model.settle(location);
          } else if (kind === 'drop') {
            table.dropPending();
            model.pending.clear();
          }
        }
        expect(table.pending).toBe(model.pending.size);
        for (const type of TYPES) {
          for (const id of ids) {
            const key = type + id;
            const stored = model.stored.get(key) ?? [];
            expect(table.has(type, id)).toBe(stored.length > 0 || model.pending.has(key));
            expect(sorted(table.locateAll(type, id))).toEqual(sorted(stored));
            expect(table.locate(type, id) === undefined).toBe(stored.length === 0);
          }
        }
        expect(sorted(table.entries())).toEqual(sorted([...model.stored.values()].flat()));
      }),
      LIMIT,
    );
  });

  it('holds more than 100,000 blobs at no more than 64 bytes each, through every growth', () => {
    const table = new BlobTable();
    const pack = table.addPack(idOf(-1));
    const count = 120_000;
    const many = Array.from({ length: count }, (_, i) => idOf(i));
    const at = (i: number): string => many[i] ?? '';
    // Every third as a tree; every tenth twice; every fourth claimed first.
    const typeOf = (i: number): BlobType => (i % 3 === 0 ? 'tree' : 'data');
    let worst = 0;
    for (let i = 0; i < count; i++) {
      const id = at(i);
      if (i % 4 === 0) {
        if (!table.claim(typeOf(i), id)) throw new Error(`${i} is known before it came`);
        table.settle(typeOf(i), id, pack, i, i + 1, i + 2);
      } else table.add(typeOf(i), id, pack, i, i + 1, i + 2);
      if (i % 10 === 0) table.add(typeOf(i), id, pack, i, i + 1, i + 2);
      if (table.size > 20_000) worst = Math.max(worst, (table.byteLength - 16_384 * 48) / table.size);
    }
    expect(table.size).toBe(count);
    expect(worst).toBeLessThanOrEqual(64);
    // Each growth moves every entry: none may be left behind.
    const lost = Array.from({ length: count }, (_, i) => i).filter((i) => table.claim(typeOf(i), at(i)));
    expect(lost).toEqual([]);
    for (let i = 0; i < count; i += 97) {
      const id = at(i);
      const type = typeOf(i);
      expect(table.locateAll(type, id)).toEqual([
        { pack: idOf(-1), type, id, offset: i, length: i + 1, uncompressedLength: i + 2 },
      ]);
      expect(table.has(type === 'tree' ? 'data' : 'tree', id)).toBe(false);
      expect(table.claim(type, id)).toBe(false);
    }
  }, 20_000);

  it('knows the copies of a blob after it grew', () => {
    const table = new BlobTable();
    for (let copy = 0; copy < 50; copy++) table.add('data', idOf(0), table.addPack(idOf(copy)), 0, 40, 0);
    for (let i = 1; i < 20_000; i++) table.add('data', idOf(i), 0, i, 40, 0);
    expect(
      table
        .locateAll('data', idOf(0))
        .map(({ pack }) => pack)
        .toSorted(),
    ).toEqual(Array.from({ length: 50 }, (_, copy) => idOf(copy)).toSorted());
  });

  it('keeps a pack that two index files name once', () => {
    const table = new BlobTable();
    for (let file = 0; file < 2; file++) table.add('data', idOf(1), table.addPack(idOf(2)), 0, 40, 0);
    expect(table.packs).toEqual([idOf(2)]);
    expect(table.locateAll('data', idOf(1))).toHaveLength(1);
  });

  it('uses the place of a dropped blob again', () => {
    const table = new BlobTable();
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 100; i++) expect(table.claim('data', idOf(i))).toBe(true);
      table.dropPending();
    }
    expect(table.size).toBe(100);
    expect(table.has('data', idOf(5))).toBe(false);
  });
});
