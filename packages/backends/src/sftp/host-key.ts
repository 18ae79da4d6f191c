/** Deciding whether a server is the one that is meant. */
import { Buffer } from 'node:buffer';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '@restic-engine/repo-format';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import { fingerprint, hostName, judge, keyType, linesFor, parseKnownHosts } from './known-hosts.ts';
import type { KnownHost, Verdict } from './known-hosts.ts';

/** What decides about the key of a host. */
export interface HostKeyPolicy {
  /** The name that known_hosts has. */
  readonly host: string;
  /** Left out where the name is an alias, which has no port. */
  readonly port: number | undefined;
  /** Text in the format of known_hosts, beside the files. */
  readonly text: string;
  /** known_hosts files; those that do not exist are empty. A key that is accepted is added to the first. */
  readonly files: readonly string[];
  /** `strict` accepts known keys only, `new` also those of unknown hosts, which it notes; `any` looks at nothing. */
  readonly accept: 'strict' | 'new' | 'any';
  /** Decides about keys of unknown hosts instead of `accept`, and remembers them. */
  readonly learn?: (line: string) => Promise<void>;
}

/** Every kind of key that ssh2 knows, its own favorites first, with the algorithms that use it. */
const ALGORITHMS: readonly (readonly [type: string, algorithms: readonly ServerHostKeyAlgorithm[]])[] = [
  ['ssh-ed25519', ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']],
];

/** Decides about the keys of one host. */
export interface HostKeyCheck {
  /** The algorithms to ask for, those of known keys first: a server with several keys must show one that is known. */
  readonly algorithms: ServerHostKeyAlgorithm[];
  /** Rejects with `untrusted`. */
  check(key: Uint8Array): Promise<void>;
}

/** Reads what is known about the host. */
export async function hostKeyCheck(policy: HostKeyPolicy): Promise<HostKeyCheck> {
  const texts = policy.accept === 'any' ? [] : await Promise.all(policy.files.map(readOptional));
  const all = parseKnownHosts([policy.text, ...texts].join('\n'));
  const lines = linesFor(all, hostName(policy.host, policy.port ?? 22));
  // As in ssh, what is known of the host without its port may speak for a key, though not against it.
  const others = linesFor(all, hostName(policy.host, 22));
  return {
    algorithms: algorithmsFor([...lines, ...others]),
    async check(key) {
      if (policy.accept === 'any') return;
      const verdict = judge(lines, key);
      if (verdict === 'known' || (verdict === 'unknown' && judge(others, key) === 'known')) return;
      if (verdict === 'unknown' && policy.learn !== undefined) return policy.learn(lineFor(policy, key));
      if (verdict === 'unknown' && policy.accept === 'new') return note(policy, key);
      throw refusal(policy, verdict, key);
    },
  };
}

function algorithmsFor(lines: readonly KnownHost[]): ServerHostKeyAlgorithm[] {
  const known = new Set(lines.filter(({ marker }) => marker === undefined).map(({ type }) => type));
  const first = ALGORITHMS.filter(([type]) => known.has(type));
  const others = ALGORITHMS.filter(([type]) => !known.has(type));
  return [...first, ...others].flatMap(([, algorithms]) => algorithms);
}

async function readOptional(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
    if (missing) return '';
    throw new EngineError('denied', `cannot read known hosts from ${path}`, { file: path }, { cause: error });
  }
}

async function note(policy: HostKeyPolicy, key: Uint8Array): Promise<void> {
  const [file] = policy.files;
  if (file === undefined) return;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await appendFile(file, `${lineFor(policy, key)}\n`, { mode: 0o600 });
}

function lineFor({ host, port = 22 }: HostKeyPolicy, key: Uint8Array): string {
  return `${hostName(host, port)} ${keyType(key)} ${Buffer.from(key).toString('base64')}`;
}

function refusal(policy: HostKeyPolicy, verdict: Verdict, key: Uint8Array): EngineError {
  const name = hostName(policy.host, policy.port ?? 22);
  const shown = `${keyType(key)} ${fingerprint(key)}`;
  const file = policy.files[0] ?? 'known_hosts';
  return new EngineError('untrusted', messageFor(verdict, name, shown, file, policy), {
    host: name,
    keyType: keyType(key),
    fingerprint: fingerprint(key),
  });
}

function messageFor(verdict: Verdict, name: string, shown: string, file: string, policy: HostKeyPolicy): string {
  if (verdict === 'revoked') return `the key that ${name} shows (${shown}) is marked as revoked`;
  if (verdict === 'authority-only') {
    return (
      `for ${name} a certificate authority is known, and host certificates are not supported: ` +
      `add the key itself (${shown}) to ${file}, or use sftp.command with ssh`
    );
  }
  if (verdict === 'changed') {
    return (
      `${name} shows another key (${shown}) than the known one: somebody may be in between. If the server's key was ` +
      `changed on purpose, remove the old one with: ssh-keygen -R '${name}' -f ${file}`
    );
  }
  const port = policy.port === undefined || policy.port === 22 ? '' : `-p ${policy.port} `;
  return (
    `the key of ${name} (${shown}) is not known. Compare it with the server's own (ssh-keygen -lf on the server), ` +
    `then add it with: ssh-keyscan ${port}${policy.host} >> ${file}`
  );
}
