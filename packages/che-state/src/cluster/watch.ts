/** Watches: a JSON object each line ("Kubernetes API Concepts", "Efficient detection of changes"). */
import { EngineError } from 'restic-engine';
import type { Kind } from '../objects/object.ts';
import type { Api } from './api.ts';
import type { WatchEvent, WatchOptions } from './cluster.ts';
import { kindPath, readObject } from './paths.ts';
import { connectionError, refusal } from './refusal.ts';
import { throwIfAborted } from './wait.ts';

/** The server ends a watch after this many seconds; without a limit a dead connection could go unnoticed for ever. */
const WATCH_SECONDS = 290;
/** Bytes of one event. */
const MAX_EVENT = 16 * 1024 * 1024;
const NEWLINE = 0x0a;

const TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);
const isType = (type: unknown): type is WatchEvent['type'] => TYPES.has(type);

export async function* watchKind(
  api: Api,
  kind: Kind,
  { namespace, labelSelector, fieldSelector, resourceVersion, signal }: WatchOptions,
): AsyncGenerator<WatchEvent> {
  const subject = `watch ${kind.plural}${namespace === undefined ? '' : ` in ${namespace}`}`;
  const query = { labelSelector, fieldSelector, resourceVersion, timeoutSeconds: WATCH_SECONDS };
  const path = kindPath(kind, namespace, { watch: true, allowWatchBookmarks: true, ...query });
  const stalledMs = (WATCH_SECONDS + 30) * 1000;
  const response = await api.open({ method: 'GET', path, subject, stalledMs, signal });
  try {
    for await (const line of lines(response, subject)) yield readEvent(kind, subject, line);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throwIfAborted(signal);
    throw connectionError(subject, error);
  } finally {
    response.destroy();
  }
}

/** A last line that was cut off is no event, and an error. */
async function* lines(source: AsyncIterable<Buffer>, subject: string): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, at)]).toString('utf8');
      parts = [];
      size = 0;
      from = at + 1;
      if (line.trim() !== '') yield line;
    }
    parts.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > MAX_EVENT) throw new EngineError('too-large', `cannot ${subject}: an event is too long`);
  }
  if (size > 0) throw new EngineError('io', `cannot ${subject}: the connection broke off`);
}

function readEvent(kind: Kind, subject: string, line: string): WatchEvent {
  const event = parse(subject, line);
  if (typeof event !== 'object' || event === null || !('type' in event) || !('object' in event)) {
    throw new EngineError('io', `cannot ${subject}: this is no event`);
  }
  const { type, object } = event;
  if (type === 'ERROR') throw refusal(subject, codeOfStatus(object), object);
  if (!isType(type)) throw new EngineError('io', `cannot ${subject}: this is no event`);
  // A bookmark has a version and no name.
  return { type, object: readObject(kind, type === 'BOOKMARK' ? named(object) : object) };
}

function parse(subject: string, line: string): unknown {
  try {
    const json: unknown = JSON.parse(line);
    return json;
  } catch {
    throw new EngineError('io', `cannot ${subject}: this is no event`);
  }
}

function codeOfStatus(status: unknown): number {
  const has = typeof status === 'object' && status !== null && 'code' in status && typeof status.code === 'number';
  return has ? Number(status.code) : 500;
}

function named(object: unknown): unknown {
  if (typeof object !== 'object' || object === null || !('metadata' in object)) return object;
  const { metadata } = object;
  return typeof metadata === 'object' ? { ...object, metadata: { name: '', ...metadata } } : object;
}
