import { EngineError } from '@restic-engine/repo-format';
import { belowFolder, connectionsOption } from '../scheme.ts';
import type { OpenContext, Scheme } from '../scheme.ts';
import { EXAMPLES, parseLocation } from './location.ts';
import type { SftpLocation } from './location.ts';
import { sftpBackend } from './open.ts';
import type { SftpOptions } from './options.ts';
import { splitWords } from './words.ts';

/** `sftp:user@host:path` and `sftp://user@host:port//path`. */
export const SFTP_SCHEME: Scheme = {
  example: EXAMPLES,
  options: [
    { name: 'connections', description: 'requests at once (default 5)' },
    { name: 'command', description: 'program to connect with, in place of everything else said about connecting' },
    { name: 'args', description: 'connect with the program ssh, with these arguments' },
    { name: 'identity-file', description: 'file with the private key to log in with' },
    { name: 'known-hosts-file', description: 'file with the host keys to trust (default ~/.ssh/known_hosts)' },
    { name: 'config-file', description: 'SSH configuration, or none (default ~/.ssh/config)' },
    { name: 'insecure-accept-any-host-key', description: 'true: accept any host, and anybody in between' },
  ],
  open: async (rest, context) => sftpBackend(sftpOptions(rest, context)),
  // Without a path it is the folder of the login, and a slash in front would lead out of it.
  below: (rest, name) => (rest.endsWith(':') ? `${rest}${name}` : belowFolder(rest, name)),
};

/** Location, extended options and environment as options of the backend. Throws `bad-request`. */
export function sftpOptions(rest: string, { options, env, bandwidth, http }: OpenContext): SftpOptions {
  const location = parseLocation(rest);
  const command = commandOf(location, options);
  const identityFile = options.get('identity-file');
  const knownHostsFile = options.get('known-hosts-file');
  const configFile = options.get('config-file');
  const password = env['RESTIC_ENGINE_SFTP_PASSWORD'];
  const passphrase = env['RESTIC_ENGINE_SFTP_PASSPHRASE'];
  return {
    ...location,
    connections: connectionsOption(options, 'sftp', 5),
    insecureAcceptAnyHostKey: flag(options, 'insecure-accept-any-host-key'),
    env,
    ...(command && { command }),
    ...(identityFile && { identityFiles: [identityFile] }),
    ...(knownHostsFile && { knownHostsFiles: [knownHostsFile] }),
    ...(configFile && { configFile: configFile === 'none' ? false : configFile }),
    ...(password && { password }),
    ...(passphrase && { passphrase }),
    ...(bandwidth && { bandwidth }),
    ...(http.stuckRequestMs !== undefined && { stuckMs: http.stuckRequestMs }),
  };
}

function commandOf(location: SftpLocation, options: ReadonlyMap<string, string>): string[] | undefined {
  const command = options.get('command');
  const args = options.get('args');
  if (command !== undefined && args !== undefined) {
    throw new EngineError('bad-request', 'sftp.command and sftp.args exclude each other');
  }
  if (args !== undefined) return sshCommand(location, splitWords(args, 'sftp.args'));
  if (command === undefined) return undefined;
  const words = splitWords(command, 'sftp.command');
  if (words.length === 0) throw new EngineError('bad-request', 'sftp.command is empty');
  return words;
}

/** The command restic starts. */
function sshCommand({ host, port, user }: SftpLocation, args: readonly string[]): string[] {
  if (host.startsWith('-')) throw new EngineError('bad-request', 'the name of a host does not begin with -');
  return [
    'ssh',
    host,
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(user === undefined ? [] : ['-l', user]),
    ...args,
    '-s',
    'sftp',
  ];
}

function flag(options: ReadonlyMap<string, string>, name: string): boolean {
  const text = options.get(name) ?? 'false';
  if (text === 'true' || text === 'false') return text === 'true';
  throw new EngineError('bad-request', `sftp.${name} must be true or false`);
}
