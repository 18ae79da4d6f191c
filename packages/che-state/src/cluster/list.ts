/** Lists in pages ("Kubernetes API Concepts", "Retrieving large results sets in chunks"). */
import { EngineError } from 'restic-engine';
import { fieldAt, isRecord, textAt } from '../objects/fields.ts';
import type { Kind, KubeObject } from '../objects/object.ts';
import type { Answer, Api } from './api.ts';
import type { ListOptions } from './cluster.ts';
import { kindPath, readObject } from './paths.ts';
import { refusal } from './refusal.ts';

/** Objects of a page, to begin with. */
const PAGE = 500;
/** Bytes of a page; with more of them, fewer objects are asked for. */
const MAX_PAGE = 64 * 1024 * 1024;
/** Bytes of a page that cannot be made smaller. */
const MAX_SINGLE = 128 * 1024 * 1024;
const GONE = 410;
const NOT_FOUND = 404;
/** How often a list may expire before it was read. */
const MAX_EXPIRED = 20;

interface Page {
  readonly items: readonly unknown[];
  readonly continue: string;
  readonly version: string;
}

/**
 * Yields each object once. The list is as it was when it was begun; where that view expires on the way, it goes on with
 * what is there now, and neither forgets nor repeats what has been there all the time.
 *
 * @param absent asked when there seems to be no such kind; throws when there is one
 */
export async function* listPages(
  api: Api,
  kind: Kind,
  options: ListOptions,
  absent: () => Promise<void>,
): AsyncGenerator<KubeObject> {
  const subject = `list ${kind.plural}${options.namespace === undefined ? '' : ` in ${options.namespace}`}`;
  const seen = new Set<string>();
  let next = '';
  let limit = PAGE;
  let told = false;
  for (let expired = 0; ; ) {
    const asked = await askPage(api, kind, options, { subject, limit, next });
    limit = asked.limit;
    const { answer } = asked;
    if (answer.httpStatus === NOT_FOUND) return absent();
    if (answer.httpStatus === GONE) {
      if (++expired > MAX_EXPIRED) throw refusal(subject, GONE, answer.json);
      // The API offers to go on in the list as it is now; else it is begun again, without what was there already.
      next = answer.status?.continue ?? '';
      continue;
    }
    const page = readPage(subject, answer.json);
    // Pages of a later view have the later version: what happened to objects of earlier ones is told only from the first.
    if (!told) options.onVersion?.(page.version);
    told = true;
    for (const item of page.items) {
      const object = readObject(kind, item);
      const name = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
      if (seen.has(name)) continue;
      seen.add(name);
      yield object;
    }
    if (page.continue === '') return;
    next = page.continue;
  }
}

/** Asks for fewer objects when they are too large together. */
async function askPage(
  api: Api,
  kind: Kind,
  { namespace, labelSelector, fieldSelector, signal }: ListOptions,
  { subject, limit, next }: { readonly subject: string; readonly limit: number; readonly next: string },
): Promise<{ readonly answer: Answer; readonly limit: number }> {
  for (let fewer = limit; ; fewer = Math.ceil(fewer / 8)) {
    const query = { limit: fewer, continue: next || undefined, labelSelector, fieldSelector };
    const path = kindPath(kind, namespace, query);
    const maxBytes = fewer === 1 ? MAX_SINGLE : MAX_PAGE;
    try {
      const request = { method: 'GET', path, subject, maxBytes, signal } as const;
      return { answer: await api.call(request, [NOT_FOUND, GONE]), limit: fewer };
    } catch (error) {
      if (fewer === 1 || !EngineError.is(error, 'too-large')) throw error;
    }
  }
}

function readPage(subject: string, json: unknown): Page {
  // Go writes an empty list of some kinds as null.
  const items = isRecord(json) && 'items' in json ? (json['items'] ?? []) : undefined;
  if (!Array.isArray(items) || !isRecord(fieldAt(json, 'metadata'))) {
    throw new EngineError('io', `cannot ${subject}: the answer is no list`);
  }
  return {
    items,
    continue: textAt(json, 'metadata', 'continue') ?? '',
    version: textAt(json, 'metadata', 'resourceVersion') ?? '',
  };
}
