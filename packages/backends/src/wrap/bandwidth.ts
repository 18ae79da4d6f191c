import { PIECE } from '../bandwidth.ts';
import type { Bandwidth } from '../bandwidth.ts';
import { override } from './wrap.ts';
import type { Wrapper } from './wrap.ts';

/**
 * Keeps the contents of files within the limits of a line. For backends that do not take their turn themselves, such as
 * {@link memoryBackend}; those that `openBackend` makes all do.
 */
export function withBandwidth(bandwidth: Bandwidth): Wrapper {
  return (backend) =>
    override(backend, {
      async save(file, segments, call) {
        const bytes = segments.reduce((sum, segment) => sum + segment.length, 0);
        await inPieces(bytes, (piece) => bandwidth.upload(piece, call?.signal));
        await backend.save(file, segments, call);
      },
      async load(file, range, call) {
        const bytes = await backend.load(file, range, call);
        await inPieces(bytes.length, (piece) => bandwidth.download(piece, call?.signal));
        return bytes;
      },
    });
}

/** Piece by piece, so that those who share the line take turns. */
async function inPieces(bytes: number, pass: (piece: number) => Promise<void>): Promise<void> {
  for (let left = bytes; left > 0; left -= PIECE) await pass(Math.min(left, PIECE));
}
