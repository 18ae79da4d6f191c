/** The answer to a PROPFIND: a `response` for each resource (RFC 4918 §14.24). */
import { DAV } from './propfind.ts';
import type { PropertyName, Wanted } from './propfind.ts';
import type { Resource } from './resources.ts';

const HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n';
const TAIL = '</D:multistatus>\n';

/** The answer, piece by piece. */
export async function* multistatus(resources: AsyncIterable<Resource>, wanted: Wanted): AsyncGenerator<string> {
  yield HEAD;
  for await (const resource of resources) yield responseOf(resource, wanted);
  yield TAIL;
}

function responseOf(resource: Resource, wanted: Wanted): string {
  const has = propertiesOf(resource);
  const parts = [`<D:response><D:href>${escape(resource.href)}</D:href>`];
  if (wanted.kind === 'some') {
    const of = ({ namespace, name }: PropertyName): string | undefined =>
      namespace === DAV ? has.get(name) : undefined;
    const known = wanted.names.flatMap((each) => (of(each) === undefined ? [] : [element(each.name, of(each) ?? '')]));
    const unknown = wanted.names.filter((each) => of(each) === undefined).map(emptyElement);
    if (known.length > 0 || unknown.length === 0) parts.push(propstat(known, '200 OK'));
    if (unknown.length > 0) parts.push(propstat(unknown, '404 Not Found'));
  } else {
    const all = [...has].map(([name, value]) => element(name, wanted.kind === 'names' ? '' : value));
    parts.push(propstat(all, '200 OK'));
  }
  return `${parts.join('')}</D:response>\n`;
}

/** Properties of the namespace `DAV:` and their XML (RFC 4918 §15). */
function propertiesOf({ name, stats, etag }: Resource): ReadonlyMap<string, string> {
  const properties = new Map([
    ['resourcetype', stats.isDirectory() ? '<D:collection/>' : ''],
    ['displayname', escape(name)],
    ['getlastmodified', stats.mtime.toUTCString()],
  ]);
  if (stats.isDirectory()) return properties;
  return properties
    .set('getcontentlength', String(stats.size))
    .set('getcontenttype', 'application/octet-stream')
    .set('getetag', escape(etag ?? ''));
}

function propstat(elements: readonly string[], status: string): string {
  return `<D:propstat><D:prop>${elements.join('')}</D:prop><D:status>HTTP/1.1 ${status}</D:status></D:propstat>`;
}

function element(name: string, value: string): string {
  return value === '' ? `<D:${name}/>` : `<D:${name}>${value}</D:${name}>`;
}

function emptyElement({ namespace, name }: PropertyName): string {
  if (namespace === DAV) return `<D:${name}/>`;
  return `<${name} xmlns="${namespace}"/>`;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
/** What XML 1.0 has no way to write (§2.2). */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const NO_CHARACTER = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

function escape(text: string): string {
  const written = text.toWellFormed().replaceAll(NO_CHARACTER, '\ufffd').replaceAll('\r', '&#13;');
  return written.replaceAll(/&(?!#13;)|[<>"]/g, (character) => ESCAPES[character] ?? character);
}
