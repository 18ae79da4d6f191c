import { throwIfAborted } from '@restic-engine/repo-format';
import { SYSTEM_TIME } from './wrap/time.ts';
import type { Time } from './wrap/time.ts';

/** Bytes per second; what is left out has no limit. */
export interface BandwidthOptions {
  readonly upload?: number;
  readonly download?: number;
  /** Replaces the clock, for tests. */
  readonly time?: Pick<Time, 'now' | 'sleep'>;
}

/** The largest piece worth asking a {@link Bandwidth} for: small enough to keep a line evenly filled. */
export const PIECE: number = 32 * 1024;

/** Shares a line among everything that is given the same object. */
export interface Bandwidth {
  readonly limitsUpload: boolean;
  readonly limitsDownload: boolean;
  /** Resolves when `bytes` may be sent; rejects with `aborted`. */
  upload(bytes: number, signal?: AbortSignal): Promise<void>;
  /** Resolves when `bytes`, just received, are within the limit and more may be read; rejects with `aborted`. */
  download(bytes: number, signal?: AbortSignal): Promise<void>;
}

/**
 * Limits of a line, for any number of backends together. Backends that send over a network take their turn piece by
 * piece; `withBandwidth` paces the files of any other.
 */
export function bandwidth(options: BandwidthOptions): Bandwidth {
  const time = options.time ?? SYSTEM_TIME;
  const upload = pace(options.upload, time);
  const download = pace(options.download, time);
  return {
    limitsUpload: options.upload !== undefined,
    limitsDownload: options.download !== undefined,
    upload,
    download,
  };
}

type Pace = (bytes: number, signal?: AbortSignal) => Promise<void>;

/** Who comes late by a timer or a busy thread makes up for it: up to so much of the line's idle time is not lost. */
const SLACK_MS = 100;

/** A line that is busy until the bytes granted so far have passed at `rate`; the next piece starts then. */
function pace(rate: number | undefined, time: Pick<Time, 'now' | 'sleep'>): Pace {
  if (rate === undefined) return async () => undefined;
  if (!(rate > 0)) throw new RangeError('a bandwidth limit must be more than 0 bytes per second');
  let freeAt: number | undefined;
  return async (bytes, signal) => {
    throwIfAborted(signal);
    const now = time.now();
    const start = Math.max(now - SLACK_MS, freeAt ?? now);
    freeAt = start + (bytes * 1000) / rate;
    if (start > now) await time.sleep(start - now, signal);
  };
}
