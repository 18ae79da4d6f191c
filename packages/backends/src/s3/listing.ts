import { EngineError, isId } from '@restic-engine/repo-format';
import type { FileType, ListedFile } from '@restic-engine/repo-format';

/** A part of a listing, of whichever version. */
export interface Page {
  readonly Contents?: readonly { readonly Key?: string | undefined; readonly Size?: number | undefined }[] | undefined;
  readonly IsTruncated?: boolean | undefined;
  readonly EncodingType?: string | undefined;
  /** Where the next page starts: of version 2, and of version 1 where it has one. */
  readonly NextContinuationToken?: string | undefined;
  readonly NextMarker?: string | undefined;
}

function broken(folder: string, why: string): EngineError {
  return new EngineError('corrupt', `list ${folder}: the answer is not that of an S3 server: ${why}`, {
    operation: 'list',
    file: folder,
  });
}

/** The files of `type` on a page, whose keys begin with `folder` and a `/`; what is no file of a repository is left out. */
export function* filesOf(page: Page, type: FileType, folder: string): Generator<ListedFile> {
  const decode = page.EncodingType === 'url' ? urlDecoded : (key: string): string => key;
  for (const { Key: key, Size: size } of page.Contents ?? []) {
    const name = nameOf(type, decode(key ?? ''), `${folder}/`);
    if (name === undefined) continue;
    if (size === undefined || !Number.isSafeInteger(size) || size < 0) throw broken(folder, 'a size is no number');
    yield { name, size };
  }
}

/** A pack in the wrong folder would not load under its name. */
function nameOf(type: FileType, key: string, folder: string): string | undefined {
  if (!key.startsWith(folder)) return undefined;
  const path = key.slice(folder.length);
  const name = type === 'data' && path[2] === '/' && path.startsWith(path.slice(3, 5)) ? path.slice(3) : path;
  return isId(name) && (type !== 'data' || name !== path) ? name : undefined;
}

function urlDecoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch (error) {
    if (error instanceof URIError) return key;
    throw error;
  }
}

/**
 * Where the page after `page` starts, undefined after the last. Throws `corrupt` where that is not told or leads in a
 * circle: a listing that is cut short would look like lost files.
 */
export function nextStart(page: Page, before: string | undefined, folder: string): string | undefined {
  if (page.IsTruncated !== true) return undefined;
  const next = page.NextContinuationToken ?? page.NextMarker ?? page.Contents?.at(-1)?.Key;
  if (next === undefined || next === '' || next === before) throw broken(folder, 'it does not say how it goes on');
  return next;
}
