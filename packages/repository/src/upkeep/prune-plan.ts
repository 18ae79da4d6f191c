/** What prune does with each pack: restic's rules (restic manual, "Removing backup snapshots", "Customize pruning"). */
import { EngineError, MIN_PACK_SIZE } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import type { PackUse, Usage } from './prune-packs.ts';

/** Limits and wishes for what is rewritten. */
export interface PruneLimits {
  /** Unused data that may stay: bytes, a share of all data that is left as in `'5%'`, or any amount. @default '5%' */
  readonly maxUnused?: number | `${number}%` | 'unlimited' | undefined;
  /** Bytes of packs to rewrite at most. @default no limit */
  readonly maxRepackSize?: number | undefined;
  /** Leave packs of data as they are unless nothing in them is used. @default false */
  readonly repackCacheableOnly?: boolean | undefined;
  /** Compress all that is not; needs version 2. @default false */
  readonly repackUncompressed?: boolean | undefined;
  /** Packs below this many bytes are small, and many small packs are joined. @default from the sizes there are */
  readonly repackSmallerThan?: number | undefined;
}

/** What is done with packs. */
export interface PrunePlan {
  /** In no index: nothing can need them. */
  readonly unreferenced: ReadonlySet<Id>;
  /** Nothing in them is used. */
  readonly remove: ReadonlySet<Id>;
  /** What is used of them is copied, then they go. */
  readonly repack: ReadonlySet<Id>;
  /** Named by an index and not there, but not needed either. */
  readonly missing: ReadonlySet<Id>;
}

/** Sizes in bytes. */
export interface PruneStats {
  readonly blobs: {
    readonly used: number;
    readonly duplicate: number;
    readonly unused: number;
    readonly total: number;
    readonly repack: number;
    readonly repackRemove: number;
    readonly remove: number;
    readonly removeTotal: number;
    readonly remaining: number;
  };
  readonly bytes: {
    readonly used: number;
    readonly duplicate: number;
    readonly unused: number;
    readonly unreferenced: number;
    readonly uncompressed: number;
    readonly total: number;
    readonly repack: number;
    readonly repackRemove: number;
    readonly remove: number;
    readonly removeTotal: number;
    readonly remaining: number;
    readonly remainingUnused: number;
  };
  readonly packs: {
    readonly used: number;
    readonly unused: number;
    readonly partlyUsed: number;
    readonly unreferenced: number;
    readonly total: number;
    readonly keep: number;
    readonly repack: number;
    readonly remove: number;
    readonly removeTotal: number;
  };
}

/** Fewer small packs than this are not worth it; a last pack that is never full would be rewritten each time. */
const MANY_SMALL = 10;

/** Rejects contradictions with `bad-request`. */
export function checkLimits(limits: PruneLimits, version: 1 | 2, packSize: number): void {
  const refuse = (message: string): never => {
    throw new EngineError('bad-request', message);
  };
  unusedLimit(limits.maxUnused, 0);
  if (limits.repackUncompressed === true && version < 2) refuse('compression needs a repository of version 2');
  if ((limits.repackSmallerThan ?? 0) > packSize) refuse('repackSmallerThan exceeds the pack size of the repository');
  if (!((limits.maxRepackSize ?? 0) >= 0)) refuse('maxRepackSize cannot be negative');
}

function unusedLimit(maxUnused: PruneLimits['maxUnused'] = '5%', usedBytes: number): number {
  if (maxUnused === 'unlimited') return Infinity;
  const share = typeof maxUnused === 'string' ? Number(maxUnused.slice(0, -1)) : undefined;
  const limit = share === undefined ? Number(maxUnused) : Math.floor((share / (100 - share)) * usedBytes);
  if (!(limit >= 0) || (share !== undefined && !(share >= 0 && share < 100))) {
    throw new EngineError('bad-request', 'maxUnused must be a size, or at least 0% and below 100%', { maxUnused });
  }
  return limit;
}

/** The size from which on a pack is not small: four fifths of what nearly all packs have, or of the smallest size. */
function largeEnough(uses: readonly PackUse[], wanted: number | undefined): number {
  if (wanted !== undefined && wanted > 0) return wanted;
  const sizes = Float64Array.from(uses, sizeOf).sort();
  return Math.floor((Math.max(MIN_PACK_SIZE, sizes[Math.floor(sizes.length * 0.03)] ?? 0) * 4) / 5);
}

function sizeOf({ usedBytes, unusedBytes }: PackUse): number {
  return usedBytes + unusedBytes;
}

/** Plans and counts; it lives for one plan. */
export class Planner {
  readonly #limits: PruneLimits;
  readonly #version: 1 | 2;
  readonly #usage: Usage;
  readonly #large: number;
  readonly #plan = {
    unreferenced: new Set<Id>(),
    remove: new Set<Id>(),
    repack: new Set<Id>(),
    missing: new Set<Id>(),
  };
  readonly #packs = { used: 0, unused: 0, partlyUsed: 0, keep: 0 };
  readonly #removed = { blobs: 0, bytes: 0 };
  readonly #repacked = { blobs: 0, bytes: 0, removedBlobs: 0, removedBytes: 0 };
  #unreferencedBytes = 0;
  #uncompressedBytes = 0;

  constructor(usage: Usage, limits: PruneLimits, version: 1 | 2) {
    this.#usage = usage;
    this.#limits = limits;
    this.#version = version;
    this.#large = largeEnough(usage.packs, limits.repackSmallerThan);
  }

  /**
   * Decides, with the bytes of each pack that is stored. Throws `corrupt` when a needed pack is missing or has another
   * size than the index says.
   */
  decide(stored: ReadonlyMap<Id, number>): { plan: PrunePlan; stats: PruneStats } {
    const candidates: PackUse[] = [];
    const small: PackUse[] = [];
    const known = new Set<Id>();
    for (const use of this.#usage.packs) {
      known.add(use.id);
      const size = stored.get(use.id);
      if (size === undefined) this.#forgetMissing(use);
      else {
        if (size !== sizeOf(use) && use.usedBlobs > 0) throw wrongSize(use, size);
        const group = this.#sort(use);
        if (group === 'candidate') candidates.push(use);
        if (group === 'small') small.push(use);
      }
    }
    for (const [id, size] of stored) {
      if (known.has(id)) continue;
      this.#plan.unreferenced.add(id);
      this.#unreferencedBytes += size;
    }
    if (small.length < MANY_SMALL) this.#packs.keep += small.length;
    else candidates.push(...small);
    this.#choose(candidates);
    return { plan: this.#plan, stats: this.#stats() };
  }

  #forgetMissing(use: PackUse): void {
    if (use.usedBlobs > 0) {
      const context = { pack: use.id };
      throw new EngineError('corrupt', `pack ${use.id} is needed and missing; repair the index first`, context);
    }
    this.#plan.missing.add(use.id);
    this.#remove(use);
  }

  #remove(use: PackUse): void {
    this.#removed.blobs += use.unusedBlobs;
    this.#removed.bytes += use.unusedBytes;
  }

  #mustCompress({ type, uncompressed }: PackUse): boolean {
    if (this.#version < 2 || !uncompressed) return false;
    return type === 'tree' || this.#limits.repackUncompressed === true;
  }

  #sort(use: PackUse): 'settled' | 'small' | 'candidate' {
    this.#packs[use.usedBlobs === 0 ? 'unused' : use.unusedBlobs === 0 ? 'used' : 'partlyUsed'] += 1;
    if (use.uncompressed) this.#uncompressedBytes += sizeOf(use);
    if (use.fixed === true) {
      this.#packs.keep += 1;
      return 'settled';
    }
    if (use.usedBlobs === 0) {
      this.#plan.remove.add(use.id);
      this.#remove(use);
      return 'settled';
    }
    if (this.#limits.repackCacheableOnly === true && use.type === 'data') {
      this.#packs.keep += 1;
      return 'settled';
    }
    if (use.unusedBlobs > 0 || use.type === 'mixed' || this.#mustCompress(use)) return 'candidate';
    if (sizeOf(use) < this.#large) return 'small';
    this.#packs.keep += 1;
    return 'settled';
  }

  /** Trees first, then what is small, then by the share that is unused. */
  #choose(candidates: PackUse[]): void {
    const rank = (use: PackUse): number => (use.type === 'data' ? 2 : 0) + (sizeOf(use) < this.#large ? 0 : 1);
    const share = ({ unusedBytes, usedBytes }: PackUse): number => unusedBytes / usedBytes;
    candidates.sort((a, b) => rank(a) - rank(b) || share(b) - share(a));
    const { maxUnused, maxRepackSize = Infinity } = this.#limits;
    const limit = unusedLimit(maxUnused, this.#usage.used.bytes);
    for (const use of candidates) {
      const fits = this.#repacked.bytes + sizeOf(use) < maxRepackSize;
      const must = use.type !== 'data' || this.#mustCompress(use);
      const enough = this.#remainingUnused() < limit && sizeOf(use) >= this.#large;
      if (fits && (must || !enough)) this.#repack(use);
      else this.#packs.keep += 1;
    }
  }

  #repack(use: PackUse): void {
    this.#plan.repack.add(use.id);
    this.#repacked.blobs += use.usedBlobs + use.unusedBlobs;
    this.#repacked.bytes += sizeOf(use);
    this.#repacked.removedBlobs += use.unusedBlobs;
    this.#repacked.removedBytes += use.unusedBytes;
    if (use.uncompressed) this.#uncompressedBytes -= sizeOf(use);
  }

  #remainingUnused(): number {
    const { unused, duplicate } = this.#usage;
    return unused.bytes + duplicate.bytes - this.#removed.bytes - this.#repacked.removedBytes;
  }

  #stats(): PruneStats {
    const { used, unused, duplicate } = this.#usage;
    const [removed, repacked, plan, packs] = [this.#removed, this.#repacked, this.#plan, this.#packs];
    const blobs = used.blobs + unused.blobs + duplicate.blobs;
    const blobsRemoved = removed.blobs + repacked.removedBlobs;
    const bytes = used.bytes + unused.bytes + duplicate.bytes + this.#unreferencedBytes;
    const bytesRemoved = removed.bytes + repacked.removedBytes + this.#unreferencedBytes;
    return {
      blobs: {
        used: used.blobs,
        duplicate: duplicate.blobs,
        unused: unused.blobs,
        total: blobs,
        repack: repacked.blobs,
        repackRemove: repacked.removedBlobs,
        remove: removed.blobs,
        removeTotal: blobsRemoved,
        remaining: blobs - blobsRemoved,
      },
      bytes: {
        used: used.bytes,
        duplicate: duplicate.bytes,
        unused: unused.bytes,
        unreferenced: this.#unreferencedBytes,
        uncompressed: this.#version < 2 ? 0 : this.#uncompressedBytes,
        total: bytes,
        repack: repacked.bytes,
        repackRemove: repacked.removedBytes,
        remove: removed.bytes,
        removeTotal: bytesRemoved,
        remaining: bytes - bytesRemoved,
        remainingUnused: this.#remainingUnused(),
      },
      packs: {
        used: packs.used,
        unused: packs.unused,
        partlyUsed: packs.partlyUsed,
        unreferenced: plan.unreferenced.size,
        total: packs.used + packs.unused + packs.partlyUsed + plan.unreferenced.size,
        keep: packs.keep,
        repack: plan.repack.size,
        remove: plan.remove.size,
        removeTotal: plan.remove.size + plan.unreferenced.size,
      },
    };
  }
}

function wrongSize(use: PackUse, size: number): EngineError {
  const message = `pack ${use.id}: calculated size ${sizeOf(use)} does not match real size ${size}; repair the index first`;
  return new EngineError('corrupt', message, { pack: use.id, size, expected: sizeOf(use) });
}
