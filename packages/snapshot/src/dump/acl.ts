/** Access control lists of Linux, from the bytes of an extended attribute to text (acl(5), "Long Text Form"). */

const VERSION = 2;
const HEAD_BYTES = 4;
const ENTRY_BYTES = 8;

interface Tag {
  readonly word: string;
  /** For one user or group, whose number follows. */
  readonly named: boolean;
}

const TAGS: ReadonlyMap<number, Tag> = new Map([
  [0x01, { word: 'user', named: false }],
  [0x02, { word: 'user', named: true }],
  [0x04, { word: 'group', named: false }],
  [0x08, { word: 'group', named: true }],
  [0x10, { word: 'mask', named: false }],
  [0x20, { word: 'other', named: false }],
]);

/** `user::rw-\nuser:1000:r--\n…`, with numbers for users and groups; undefined for bytes that are no such list. */
export function formatAcl(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = (bytes.length - HEAD_BYTES) / ENTRY_BYTES;
  if (!Number.isInteger(entries) || entries < 0 || view.getUint32(0, true) !== VERSION) return undefined;
  let text = '';
  for (let at = HEAD_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const tag = TAGS.get(view.getUint16(at, true));
    if (tag === undefined) return undefined;
    const permissions = view.getUint16(at + 2, true);
    const letters = [...'rwx'].map((letter, bit) => ((permissions & (4 >> bit)) === 0 ? '-' : letter)).join('');
    text += `${tag.word}:${tag.named ? view.getUint32(at + 4, true) : ''}:${letters}\n`;
  }
  return text;
}
