/** Proving who one is: which keys and passwords are tried, and in which order. */
import { Buffer } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { EngineError } from '@restic-engine/repo-format';
import type { AnyAuthMethod, BaseAgent, ParsedKey } from 'ssh2';
import type { SftpOptions } from './options.ts';
import type { Ssh2 } from './ssh2.ts';
import type { Target } from './target.ts';

const NOTHING =
  'no key and no password: name a key (sftp.identity-file, ~/.ssh/config), start an agent, or set RESTIC_ENGINE_SFTP_PASSWORD';

/** One thing to try. */
export interface Attempt {
  readonly method: AnyAuthMethod;
  /** What it is, for people. */
  readonly what: string;
}

/** All that can be tried, and what had to be left out. */
export interface Attempts {
  readonly attempts: readonly Attempt[];
  /** Keys that could not be used, and why, for people. */
  readonly notes: readonly string[];
}

interface Keys {
  readonly attempts: Attempt[];
  readonly notes: string[];
}

/**
 * Named keys first, then the agent's, then those in their usual places, the password last: servers end the conversation
 * after a few attempts. Rejects with `bad-request` where a key that was named cannot be used.
 */
export async function attemptsFor(ssh2: Ssh2, target: Target, options: SftpOptions): Promise<Attempts> {
  const { passphrase, password } = options;
  const username = target.user;
  const keys: Keys = { attempts: [], notes: [] };
  if (options.privateKey !== undefined) {
    const key = privateKey(ssh2, options.privateKey, passphrase);
    if (typeof key === 'string') throw new EngineError('bad-request', `the private key cannot be used: ${key}`);
    keys.attempts.push({ method: { type: 'publickey', username, key }, what: 'the private key' });
  }
  const mustExist = options.identityFiles !== undefined;
  for (const file of target.identityFiles) await addFile(ssh2, keys, file, username, passphrase, mustExist);
  if (target.agent !== undefined) {
    const only = target.identitiesOnly ? await publicKeys(ssh2, target.identityFiles) : undefined;
    const agent = limitedAgent(ssh2, ssh2.createAgent(target.agent), only);
    keys.attempts.push({ method: { type: 'agent', username, agent }, what: 'the keys of the agent' });
  }
  if (options.privateKey === undefined && target.identityFiles.length === 0) {
    for (const file of target.defaultIdentities) await addFile(ssh2, keys, file, username, passphrase, false);
  }
  if (password !== undefined) addPassword(keys, username, password);
  // There are servers that let anybody in.
  if (keys.attempts.length === 0) keys.attempts.push({ method: { type: 'none', username }, what: NOTHING });
  return keys;
}

function addPassword({ attempts }: Keys, username: string, password: string): void {
  attempts.push({ method: { type: 'password', username, password }, what: 'the password' });
  attempts.push({
    method: {
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)),
    },
    what: 'the password where it is asked for',
  });
}

async function addFile(
  ssh2: Ssh2,
  { attempts, notes }: Keys,
  file: string,
  username: string,
  passphrase: string | undefined,
  mustExist: boolean,
): Promise<void> {
  const [text] = await Promise.allSettled([readFile(file, 'utf8')]);
  if (text.status === 'rejected') {
    if (!mustExist) return;
    const cause: unknown = text.reason;
    throw new EngineError('bad-request', `cannot read the private key ${file}`, { file }, { cause });
  }
  const key = privateKey(ssh2, text.value, passphrase);
  if (typeof key !== 'string') attempts.push({ method: { type: 'publickey', username, key }, what: file });
  else if (mustExist) throw new EngineError('bad-request', `the private key ${file} cannot be used: ${key}`, { file });
  else notes.push(`${file} cannot be used: ${key}`);
}

/** A private key, or why it is none that can be used. */
function privateKey(ssh2: Ssh2, text: string, passphrase: string | undefined): ParsedKey | string {
  const key = parse(ssh2, text, passphrase);
  if (key instanceof Error) return key.message;
  return key.isPrivateKey() ? key : 'it is a public key';
}

function parse(ssh2: Ssh2, text: string, passphrase: string | undefined): ParsedKey | Error {
  const parsed = ssh2.utils.parseKey(text, passphrase);
  // Files of OpenSSH hold one key, whatever their format could do.
  const [first] = Array.isArray(parsed) ? parsed : [parsed];
  return first ?? new Error('there is no key in it');
}

/** The public keys of identity files, from the `.pub` beside each, in the form in which they travel. */
async function publicKeys(ssh2: Ssh2, files: readonly string[]): Promise<Buffer[]> {
  const texts = await Promise.allSettled(files.map((file) => readFile(`${file}.pub`, 'utf8')));
  return texts.flatMap((text) => {
    if (text.status === 'rejected') return [];
    const key = parse(ssh2, text.value, undefined);
    return key instanceof Error ? [] : [key.getPublicSSH()];
  });
}

/** Lets an agent show the keys in `only` and no others; all of them where it is left out. */
function limitedAgent(ssh2: Ssh2, agent: BaseAgent, only: readonly Buffer[] | undefined): BaseAgent {
  if (only === undefined) return agent;
  const all = agent.getIdentities.bind(agent);
  agent.getIdentities = (done) => {
    all((error, keys) => {
      const fitting = keys?.filter((key) => {
        // The package's own agents give parsed keys.
        if (typeof key === 'string' || Buffer.isBuffer(key) || 'pubKey' in key) return false;
        const parsed = ssh2.utils.parseKey(key);
        return !(parsed instanceof Error) && only.some((each) => each.equals(parsed.getPublicSSH()));
      });
      done(error, fitting);
    });
  };
  return agent;
}
