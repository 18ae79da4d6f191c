/** Host keys that are known: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". */
import { Buffer } from 'node:buffer';
import { createHash, createHmac } from 'node:crypto';

/** One line of a known_hosts file. */
export interface KnownHost {
  readonly marker: 'revoked' | 'cert-authority' | undefined;
  /** The first field: patterns with commas between them, or one hashed name. */
  readonly hosts: string;
  /** For example `ssh-ed25519`. */
  readonly type: string;
  /** The public key as it travels. */
  readonly key: Buffer;
}

/** What known_hosts says about the key of a host. */
export type Verdict = 'known' | 'unknown' | 'changed' | 'revoked' | 'authority-only';

/** Reads the text of a known_hosts file. Lines that are none are left out, as ssh does. */
export function parseKnownHosts(text: string): KnownHost[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const fields = line.trim().split(/[ \t]+/);
    const marker = fields[0]?.startsWith('@') ? fields.shift()?.slice(1) : undefined;
    const [hosts = '', type = '', key = ''] = fields;
    if (hosts === '' || hosts.startsWith('#') || key === '') return [];
    if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') return [];
    return [{ marker, hosts, type, key: Buffer.from(key, 'base64') }];
  });
}

/** How known_hosts names a host: with its port where that is not 22. */
export function hostName(host: string, port: number): string {
  const lower = host.toLowerCase();
  return port === 22 ? lower : `[${lower}]:${port}`;
}

/** The lines that speak of a host by this name. */
export function linesFor(lines: readonly KnownHost[], name: string): KnownHost[] {
  return lines.filter((line) => matches(line.hosts, name));
}

/** What `lines`, those for the host, say about a key that it shows. */
export function judge(lines: readonly KnownHost[], key: Uint8Array): Verdict {
  const same = lines.filter((line) => line.key.equals(key));
  if (same.some(({ marker }) => marker === 'revoked')) return 'revoked';
  if (same.some(({ marker }) => marker === undefined)) return 'known';
  // A key of another type than the known ones is a change too: whoever stands in between could choose the type.
  if (lines.some(({ marker }) => marker === undefined)) return 'changed';
  return lines.some(({ marker }) => marker === 'cert-authority') ? 'authority-only' : 'unknown';
}

/** The fingerprint that ssh shows: `SHA256:` and base64 without padding. */
export function fingerprint(key: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The type that a public key names itself. */
export function keyType(key: Uint8Array): string {
  const bytes = Buffer.from(key);
  const length = bytes.length < 4 ? 0 : bytes.readUInt32BE(0);
  return bytes.toString('latin1', 4, 4 + Math.min(length, 64));
}

function matches(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return matchesHash(hosts, name);
  let found = false;
  for (const pattern of hosts.split(',')) {
    const negated = pattern.startsWith('!');
    if (!matchesPattern(negated ? pattern.slice(1) : pattern, name)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** `|1|salt|hash`: HMAC-SHA1 of the name under the salt, both in base64. */
function matchesHash(field: string, name: string): boolean {
  const [, kind, salt, hash] = field.split('|');
  if (kind !== '1' || salt === undefined || hash === undefined) return false;
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
}

/** `*` stands for any characters, `?` for one. No backtracking beyond the last `*`, so no pattern is slow. */
function matchesPattern(pattern: string, name: string): boolean {
  const wanted = pattern.toLowerCase();
  let at = 0;
  let star = -1;
  let retry = 0;
  let index = 0;
  while (index < name.length) {
    const character = wanted.charAt(at);
    if (character === '*') {
      star = at;
      retry = index;
      at += 1;
    } else if (character !== '' && (character === '?' || character === name.charAt(index))) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      at = star + 1;
      retry += 1;
      index = retry;
    } else return false;
  }
  return /^\**$/.test(wanted.slice(at));
}
