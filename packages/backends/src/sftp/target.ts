/** Who is meant by a host, and how to get there: options first, then the SSH configuration, then ssh's defaults. */
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { EngineError } from '@restic-engine/repo-format';
import type { HostKeyPolicy } from './host-key.ts';
import type { SftpOptions } from './options.ts';
import { sshSettings } from './ssh-config.ts';
import type { SshSettings } from './ssh-config.ts';

/** What is needed to reach one host by SSH. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly hostKey: HostKeyPolicy;
  /** Files with private keys that were named for this host. */
  readonly identityFiles: readonly string[];
  /** Those that ssh tries when none is named. */
  readonly defaultIdentities: readonly string[];
  /** Only keys from files that were named may be offered, be they held by an agent. */
  readonly identitiesOnly: boolean;
  /** The socket of an agent. */
  readonly agent: string | undefined;
  /** Hosts to pass through, the nearest first. */
  readonly jumps: readonly string[];
  /** A command line that connects its standard input and output with the host. */
  readonly proxyCommand: string | undefined;
}

const DEFAULT_IDENTITIES = ['id_ed25519', 'id_ecdsa', 'id_rsa'];
const GLOBAL_KNOWN_HOSTS = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'];

/** Gathers what is known about the host of `options`. Rejects with `bad-request` for a configuration that makes no sense. */
export async function resolveTarget(options: SftpOptions): Promise<Target> {
  const env = options.env ?? process.env;
  const home = env['HOME'] || homedir();
  const settings = await settingsFor(options, home);
  const one = (name: string): string | undefined => settings.get(name)?.[0];
  const user = options.user ?? one('user') ?? userInfo().username;
  const port = options.port ?? portOf(one('port'));
  const host = expand(one('hostname') ?? options.host, new Map([['h', options.host]]));
  const tokens = tokensFor(options.host, host, port, user, home);
  const file = (text: string): string => expand(text.replace(/^~(?=\/|$)/, home), tokens);
  const identityFiles = options.identityFiles ?? settings.get('identityfile') ?? [];
  const agent = options.agent ?? agentOf(one('identityagent'), env);
  const proxyCommand = unlessNone(one('proxycommand'));
  return {
    host,
    port,
    user,
    hostKey: hostKeyPolicy(options, settings, host, port, home, file),
    identityFiles: identityFiles.filter((each) => each !== 'none').map(file),
    defaultIdentities: DEFAULT_IDENTITIES.map((name) => join(home, '.ssh', name)),
    identitiesOnly: one('identitiesonly') === 'yes',
    agent: agent ? file(agent) : undefined,
    jumps: unlessNone(one('proxyjump'))?.split(',') ?? [],
    proxyCommand: proxyCommand && expand(proxyCommand, tokens),
  };
}

async function settingsFor({ host, user, configFile }: SftpOptions, home: string): Promise<SshSettings> {
  return configFile === false ? new Map() : sshSettings(host, user, configFile, home);
}

/** What `%h` and its like stand for: ssh_config(5), "TOKENS". */
function tokensFor(name: string, host: string, port: number, user: string, home: string): Map<string, string> {
  return new Map([
    ['h', host],
    ['n', name],
    ['p', String(port)],
    ['r', user],
    ['u', userInfo().username],
    ['d', home],
    ['i', String(process.getuid?.() ?? '')],
  ]);
}

function hostKeyPolicy(
  options: SftpOptions,
  settings: SshSettings,
  host: string,
  port: number,
  home: string,
  file: (text: string) => string,
): HostKeyPolicy {
  const alias = settings.get('hostkeyalias')?.[0];
  const own = [join(home, '.ssh', 'known_hosts'), join(home, '.ssh', 'known_hosts2')];
  const configured = [
    ...(settings.get('userknownhostsfile') ?? own),
    ...(settings.get('globalknownhostsfile') ?? GLOBAL_KNOWN_HOSTS),
  ];
  const files = options.knownHostsFiles ?? configured;
  return {
    host: alias ?? host,
    port: alias === undefined ? port : undefined,
    text: options.knownHosts ?? '',
    files: files.filter((each) => each !== 'none').map(file),
    ...(options.learnHostKey !== undefined && { learn: options.learnHostKey }),
    accept: options.insecureAcceptAnyHostKey ? 'any' : acceptOf(settings.get('stricthostkeychecking')?.[0]),
  };
}

/** Where ssh would ask, nobody is there to answer. `no` is taken as `accept-new`: a key that changed is never accepted. */
function acceptOf(strict: string | undefined): HostKeyPolicy['accept'] {
  return strict !== undefined && /^(?:accept-new|no|off|false)$/i.test(strict) ? 'new' : 'strict';
}

function agentOf(
  configured: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (configured === undefined || configured === 'SSH_AUTH_SOCK') return env['SSH_AUTH_SOCK'] || undefined;
  if (configured.startsWith('$')) return env[configured.replace(/^\$\{?|\}$/g, '')] || undefined;
  return unlessNone(configured);
}

function unlessNone(value: string | undefined): string | undefined {
  return value === undefined || value.toLowerCase() === 'none' ? undefined : value;
}

function portOf(text: string | undefined): number {
  if (text === undefined) return 22;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65536) return port;
  throw new EngineError('bad-request', `the SSH configuration has a port that is none: ${text}`);
}

/** Replaces `%h` and its like; ones that are not known stay as they are. */
function expand(text: string, tokens: ReadonlyMap<string, string>): string {
  return text.replaceAll(/%(.)/g, (all, letter: string) => (letter === '%' ? '%' : (tokens.get(letter) ?? all)));
}
