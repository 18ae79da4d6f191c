/** The SSH configuration: ssh_config(5). */
import { glob, readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { EngineError } from '@restic-engine/repo-format';

/** What applies to one host; the names of settings are in lower case, and their values in order. */
export type SshSettings = ReadonlyMap<string, readonly string[]>;

const SYSTEM_CONFIG = '/etc/ssh/ssh_config';
/** How deep files may include others, as in ssh. */
const MAX_DEPTH = 16;

/**
 * The settings for `host` from `file`, or from the user's and the system's configuration. `Match exec` is not evaluated.
 * Rejects with `bad-request` for a file that was named and cannot be read.
 */
export async function sshSettings(
  host: string,
  user: string | undefined,
  file: string | undefined,
  home: string,
): Promise<SshSettings> {
  const folder = join(home, '.ssh');
  const texts =
    file === undefined
      ? [await readWith(join(folder, 'config'), folder), await readWith(SYSTEM_CONFIG, dirname(SYSTEM_CONFIG))]
      : [await readNamed(file, folder)];
  // What stands before the first `Host` of a file is for all hosts.
  const text = texts.join('\nHost *\n');
  const { default: SshConfig } = await import('ssh-config');
  const query = user === undefined ? { Host: host } : { Host: host, User: user };
  const found = SshConfig.parse(text).compute(query, { ignoreCase: true, matchExec: false });
  return new Map(
    Object.entries(found).map(([name, value]) => {
      const values = typeof value === 'string' ? [value] : value;
      return [name, name === 'proxycommand' ? values.map(decodeURIComponent) : values];
    }),
  );
}

async function readNamed(file: string, folder: string): Promise<string> {
  try {
    return await withIncludes(await readFile(file, 'utf8'), folder, 0);
  } catch (error) {
    if (EngineError.is(error)) throw error;
    throw new EngineError('bad-request', `cannot read the SSH configuration ${file}`, { file }, { cause: error });
  }
}

async function readWith(file: string, folder: string, depth = 0): Promise<string> {
  const [text] = await Promise.allSettled([readFile(file, 'utf8')]);
  // Missing or not for this user: ssh goes on without it.
  return text.status === 'fulfilled' ? withIncludes(text.value, folder, depth) : '';
}

/** Puts in what `Include` names. The section it stands in goes on behind each file. */
async function withIncludes(text: string, folder: string, depth: number): Promise<string> {
  if (depth > MAX_DEPTH) throw new EngineError('bad-request', 'SSH configuration files include each other');
  const lines: string[] = [];
  let section = 'Host *';
  for (const line of text.split(/\r?\n/)) {
    const [, keyword = '', rest = ''] = /^\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*)$/.exec(line) ?? [];
    if (/^(?:host|match)$/i.test(keyword)) section = line;
    if (/^include$/i.test(keyword)) {
      for (const pattern of rest.match(/"[^"]*"|\S+/g) ?? [])
        lines.push(...(await included(pattern, section, folder, depth)));
    } else if (/^proxycommand$/i.test(keyword)) {
      // What is for a shell must not be taken apart by the parser, which would lose some of its quotes.
      lines.push(`ProxyCommand ${encodeURIComponent(rest)}`);
    } else lines.push(line);
  }
  return lines.join('\n');
}

async function included(pattern: string, section: string, folder: string, depth: number): Promise<string[]> {
  const plain = pattern.replaceAll('"', '').replace(/^~(?=\/)/, dirname(folder));
  const path = isAbsolute(plain) ? plain : join(folder, plain);
  const texts: string[] = [];
  const files: string[] = [];
  for await (const file of glob(path)) files.push(file);
  for (const file of files.sort()) texts.push(await readWith(file, folder, depth + 1), section);
  return texts;
}
