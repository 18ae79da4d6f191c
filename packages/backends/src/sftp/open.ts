import { posix } from 'node:path';
import type { Backend } from '@restic-engine/repo-format';
import { EngineError } from '@restic-engine/repo-format';
import type { Connect } from './line.ts';
import type { SftpOptions } from './options.ts';

const STUCK_MS = 5 * 60 * 1000;

/**
 * A repository on an SFTP server, laid out and protected as restic does it. It connects with its first call, and again with
 * the first one after a connection was lost. The caller disposes of it.
 *
 * That call rejects with `unauthorized`, `untrusted` where the host's key is not known or not the known one, `io` where
 * the server cannot be reached, `unsupported` where the package `ssh2` is missing, and `bad-request` for keys or a
 * configuration that cannot be used.
 */
export async function sftpBackend(options: SftpOptions): Promise<Backend> {
  const { connections = 5, command } = options;
  if (!Number.isSafeInteger(connections) || connections < 1) throw new RangeError('connections must be at least 1');
  if (command?.length === 0) throw new EngineError('bad-request', 'the command to connect with is empty');
  const { SftpBackend } = await import('./backend.ts');
  const { Sessions } = await import('./sessions.ts');
  const connect = await connectFor(options);
  return new SftpBackend({
    location: locationOf(options),
    root: posix.normalize(options.path),
    connections,
    // A program may ask its user for something each time, so it is started once, as restic does.
    sessions: new Sessions(connect, command === undefined ? connections : 1, options.stuckMs ?? STUCK_MS),
    bandwidth: options.bandwidth,
  });
}

async function connectFor(options: SftpOptions): Promise<Connect> {
  const { command } = options;
  if (command === undefined) {
    const { connectSsh } = await import('./connect-ssh.ts');
    return () => connectSsh(options);
  }
  const { commandLine } = await import('./connect-command.ts');
  return async () => commandLine(command);
}

/** As restic's grammar has it. */
function locationOf({ user, host, port, path }: SftpOptions): string {
  const name = host.includes(':') ? `[${host}]` : host;
  const who = user === undefined ? name : `${user}@${name}`;
  return port === undefined ? `sftp:${who}:${path}` : `sftp://${who}:${port}/${path}`;
}
