/**
 * Listings of a bucket (Amazon S3 API reference, "ListObjectsV2" and "ListObjects"), read without the SDK: its parser for
 * any XML takes twenty seconds for a million files.
 */
import { EngineError, isId } from '@restic-engine/repo-format';
import type { FileType, ListedFile } from '@restic-engine/repo-format';
import type { HttpResponse } from '../http/client.ts';
import { holdsError, S3Refusal } from './errors.ts';

/** A page has 1,000 files, each with a key of up to 1,024 bytes. */
const MAX_PAGE = 8 * 2 ** 20;

/** A part of a listing. */
export interface Page {
  readonly text: string;
  /** Where the next page starts; undefined for the last. */
  readonly next: string | undefined;
}

function broken(folder: string, why: string): EngineError {
  const message = `list ${folder}: the answer is not that of an S3 server: ${why}`;
  return new EngineError('corrupt', message, { operation: 'list', file: folder });
}

/** Reads a page of the listing of `folder` that was asked for from `start` on. Rejects with `corrupt` and {@link S3Refusal}. */
export async function readPage(response: HttpResponse, start: string | undefined, folder: string): Promise<Page> {
  const text = new TextDecoder().decode(await response.body.read(MAX_PAGE));
  if (holdsError(text)) throw new S3Refusal(response, text);
  if (!/<ListBucketResult[\s>]/.test(text) || !/<\/ListBucketResult>\s*$/.test(text)) {
    throw broken(folder, 'it is no listing');
  }
  return { text, next: nextStart(text, start, folder) };
}

/** A listing that is cut short would look like lost files, and one that goes in a circle never ends. */
function nextStart(text: string, start: string | undefined, folder: string): string | undefined {
  const isTruncated = element(text, 'IsTruncated')?.trim();
  if (isTruncated === 'false') return undefined;
  if (isTruncated !== 'true') throw broken(folder, 'it does not say whether it goes on');
  const next = element(text, 'NextContinuationToken') ?? element(text, 'NextMarker') ?? lastKey(text);
  if (next === undefined || next === '' || next === start) throw broken(folder, 'it does not say how it goes on');
  return next;
}

/** The older of the requests goes on after the last key. */
function lastKey(text: string): string | undefined {
  const last = text.lastIndexOf('<Key>');
  const key = last < 0 ? undefined : element(text.slice(last), 'Key');
  return key === undefined ? undefined : keyDecoder(text)(key);
}

/** The files of `type` on a page, whose keys begin with `folder` and a `/`; what is no file of a repository is left out. */
export function* filesOf({ text }: Page, type: FileType, folder: string): Generator<ListedFile> {
  const decode = keyDecoder(text);
  for (const entry of entriesOf(text, folder)) {
    const key = element(entry, 'Key');
    const size = element(entry, 'Size')?.trim();
    if (key === undefined || size === undefined) throw broken(folder, 'a file has no name or size');
    const name = nameOf(type, decode(key), `${folder}/`);
    if (name === undefined) continue;
    if (!/^\d{1,15}$/.test(size)) throw broken(folder, 'a size is no number');
    yield { name, size: Number(size) };
  }
}

/** What is between `<Contents>` and its end, once for each file; in one pass, whatever the text. */
function* entriesOf(text: string, folder: string): Generator<string> {
  const [open, close] = ['<Contents', '</Contents>'];
  for (let from = text.indexOf(open); from >= 0; from = text.indexOf(open, from)) {
    const to = text.indexOf(close, from);
    if (to < 0) throw broken(folder, 'it is no listing');
    yield text.slice(from, to);
    from = to + close.length;
  }
}

/** A pack in the wrong folder would not load under its name. */
function nameOf(type: FileType, key: string, folder: string): string | undefined {
  if (!key.startsWith(folder)) return undefined;
  const path = key.slice(folder.length);
  if (type !== 'data') return isId(path) ? path : undefined;
  const name = path.slice(3);
  return path[2] === '/' && path.startsWith(name.slice(0, 2)) && isId(name) ? name : undefined;
}

/** The text of the first simple element called `name`. */
function element(text: string, name: string): string | undefined {
  const open = `<${name}>`;
  const from = text.indexOf(open);
  if (from < 0) return undefined;
  const to = text.indexOf('<', from + open.length);
  return text.startsWith(`</${name}>`, to) ? unescaped(text.slice(from + open.length, to)) : undefined;
}

/** Servers may answer as if `encoding-type=url` had been asked for. */
function keyDecoder(text: string): (key: string) => string {
  if (element(text, 'EncodingType') !== 'url') return (key) => key;
  return (key) => {
    try {
      return decodeURIComponent(key.replaceAll('+', ' '));
    } catch (error) {
      if (error instanceof URIError) return key;
      throw error;
    }
  };
}

const ENTITIES = new Map([
  ['amp', '&'],
  ['apos', "'"],
  ['gt', '>'],
  ['lt', '<'],
  ['quot', '"'],
]);

/** XML 1.0, §4.1 and §4.6; anything else stays as it is. */
function unescaped(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{1,8}));/g, (all, decimal, hex, name: string) => {
    if (name !== undefined) return ENTITIES.get(name) ?? all;
    const point = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return point <= 0x10ffff ? String.fromCodePoint(point) : all;
  });
}
