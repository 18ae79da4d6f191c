/** Sources that a program hands over: objects with paths, and a single stream. */
import type { ObjectEntry, ObjectSource } from './source.ts';

/**
 * Objects made by the program, without temporary files. An object that has not changed costs nothing in the next
 * snapshot.
 *
 * @param entries each path once; contents that are iterables are read when their turn comes
 * @param options.paths recorded in the snapshot, and what a later backup is compared with; default `['/']`
 * @example
 * ```ts
 * await backup(repository, {
 *   source: objects([{ path: 'cluster/config.yaml', content: 'replicas: 3\n' }], { paths: ['/cluster'] }),
 * });
 * ```
 */
export function objects(
  entries: Iterable<ObjectEntry> | AsyncIterable<ObjectEntry>,
  options: { readonly paths?: readonly string[] } = {},
): ObjectSource {
  return { kind: 'objects', paths: options.paths ?? ['/'], entries, hasParent: true };
}

/** A stream to back up: pieces of bytes or text, which counts as UTF-8, such as Node's and the web's readable streams. */
export interface StreamOptions {
  /** Where the content is in the snapshot. @default '/stdin' */
  readonly path?: string | undefined;
  readonly content: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;
}

/** One stream as one file, like restic's `--stdin`. A stream that fails makes the backup fail, without a snapshot. */
export function stream({ path = '/stdin', content }: StreamOptions): ObjectSource {
  const absolute = path.startsWith('/') ? path : `/${path}`;
  return { kind: 'objects', paths: [absolute], entries: [{ path: absolute, content }], hasParent: false };
}
