/** OpenSSH's server, with SFTP and nothing else. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Peer } from '../peers/peers.ts';
import { freePort } from '../support/free-port.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import type { Place, Server } from './server.ts';

export interface Sshd extends Server {
  readonly user: string;
  /** The private key that opens it. */
  readonly identity: string;
  /** A private key that does not. */
  readonly wrongIdentity: string;
  /** What is known of it, for any port on 127.0.0.1. */
  readonly knownHosts: string;
  /** The folder of this machine that the place called `name` is in. */
  folder(name: string): string;
  /** The same place by way of the program `ssh`, which asks the system for the home folder. */
  placeBySsh(name: string, options?: { readonly port?: number }): Promise<Place>;
  /** Gives it another host key; takes effect when it is started again. */
  changeHostKey(): void;
  /** Ends the connections there are and goes on serving. */
  dropConnections(): void;
}

export interface SshdOptions {
  /** Shows a part of the file system only; needs root. */
  readonly chroot?: boolean;
}

/** Can a folder be shown as if it were all there is? That needs root and a mount namespace. */
export function canChroot(): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/run'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A user that exists for the server only, where it runs as root. */
const STRANGER = { name: 'keeper', id: 47_110 };
/** Where a folder is shown that the server is to be locked into: sshd wants every folder on the way to be root's. */
const CHROOT = '/run/sshd/root';

export async function startSshd(peer: Peer, { chroot = false }: SshdOptions = {}): Promise<Sshd> {
  const folder = makeTempDir();
  const path = (name: string): string => join(folder.path, name);
  // The user of the server must get through, and root's temporary folders are for root.
  chmodSync(folder.path, 0o755);
  const asRoot = process.getuid?.() === 0;
  const user = asRoot ? STRANGER.name : userInfo().username;
  for (const name of ['host', 'identity', 'wrong']) makeKey(path(name));
  const knownHosts = path('known_hosts');
  const trust = (): void => writeFileSync(knownHosts, `127.0.0.1 ${readFileSync(path('host.pub'), 'utf8')}`);
  trust();
  mkdirSync(path('data/home'), { recursive: true });
  if (asRoot) chownSync(path('data/home'), STRANGER.id, STRANGER.id);
  const port = await freePort();
  writeFileSync(path('authorized_keys'), readFileSync(path('identity.pub')));
  writeFileSync(path('config'), config(folder.path, port, chroot));
  const sshConfig = path('.ssh/config');
  mkdirSync(path('.ssh'));
  writeFileSync(sshConfig, clientConfig(folder.path));
  if (asRoot) writeFileSync(path('passwd'), passwd(path('data/home')));
  const start = (): Promise<Daemon> => {
    const words = [peer.path, '-D', '-e', '-f', path('config')];
    const [command = '', ...args] = asRoot ? ['unshare', '--mount', ...inNamespace(folder.path), ...words] : words;
    return startDaemon({ command, args, env: peer.env, ready: /Server listening on 127\.0\.0\.1 port (\d+)/ });
  };
  let daemon = await start();
  const shown = chroot ? '/home' : path('data/home');
  const locationOf = (name: string, through: number): string => `sftp://${user}@127.0.0.1:${through}/${shown}/${name}`;
  return {
    port,
    user,
    identity: path('identity'),
    wrongIdentity: path('wrong'),
    knownHosts,
    folder: (name) => path(`data/home/${name}`),
    async place(name, { port: through = port } = {}) {
      return { location: locationOf(name, through), env: { HOME: folder.path }, options: [], secrets: [] };
    },
    async placeBySsh(name, { port: through = port } = {}) {
      return { location: locationOf(name, through), env: {}, options: [`sftp.args=-F ${sshConfig}`], secrets: [] };
    },
    changeHostKey() {
      for (const name of ['host', 'host.pub']) rmSync(path(name));
      makeKey(path('host'));
    },
    dropConnections: () => killChildren(daemon.pid),
    async restart() {
      killChildren(daemon.pid);
      await daemon.kill();
      daemon = await start();
    },
    async [Symbol.asyncDispose]() {
      killChildren(daemon.pid);
      await daemon.kill();
      folder[Symbol.dispose]();
    },
  };
}

function makeKey(path: string): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path]);
}

function config(folder: string, port: number, chroot: boolean): string {
  return [
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    `HostKey ${folder}/host`,
    `AuthorizedKeysFile ${folder}/authorized_keys`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'MaxStartups 100',
    'Subsystem sftp internal-sftp',
    ...(chroot ? [`ChrootDirectory ${CHROOT}`, 'ForceCommand internal-sftp'] : []),
    '',
  ].join('\n');
}

/** What `ssh` and ours read about every host; known hosts are looked for without a port too. */
function clientConfig(folder: string): string {
  return [
    'Host *',
    `  IdentityFile ${folder}/identity`,
    '  IdentitiesOnly yes',
    '  BatchMode yes',
    `  UserKnownHostsFile ${folder}/known_hosts`,
    '  GlobalKnownHostsFile /dev/null',
    '',
  ].join('\n');
}

/** The system's users, one that sshd needs for itself, and one to log in as. */
function passwd(home: string): string {
  const others = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('sshd:'));
  const { name, id } = STRANGER;
  const added = ['sshd:x:47111:65534::/run/sshd:/usr/sbin/nologin', `${name}:x:${id}:${id}::${home}:/bin/sh`];
  return [...others, ...added, ''].join('\n');
}

/** Words before a command that runs it with other users and with an empty `/run`; nothing else on the machine sees it. */
function inNamespace(folder: string): string[] {
  const script = [
    'set -e',
    'mount --bind "$1/passwd" /etc/passwd',
    'mount -t tmpfs -o mode=755 none /run',
    `mkdir -p ${CHROOT}`,
    `mount --bind "$1/data" ${CHROOT}`,
    'shift',
    'exec "$@"',
  ];
  return ['sh', '-c', script.join('\n'), 'sh', folder];
}

/** Kills what a process has started, and what that has: sshd has a process for each connection that outlives it. */
function killChildren(pid: number): void {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return;
  for (const child of readFileSync(file, 'utf8').split(' ').filter(Boolean).map(Number)) {
    killChildren(child);
    try {
      process.kill(child, 'SIGKILL');
    } catch (error) {
      // It may have ended meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
