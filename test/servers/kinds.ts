/** Every server that tests are repeated on. */
import { openBackend } from 'restic-engine';
import type { Backend, OpenBackendOptions } from 'restic-engine';
import { afterAll, beforeAll } from 'vitest';
import { describeWithPeer, peer } from '../peers/peers.ts';
import type { Peer, PeerName } from '../peers/peers.ts';
import { startCeph } from './ceph.ts';
import { startOurs } from './ours.ts';
import { startRclone } from './rclone.ts';
import { startRestServer } from './rest-server.ts';
import type { Place, Server } from './server.ts';
import { startSshd } from './sshd.ts';

export interface Kind {
  readonly name: string;
  readonly protocol: 'rest' | 's3' | 'sftp';
  /** Loses what it keeps when it is started again. */
  readonly forgets?: boolean;
  /** The program it takes. */
  readonly peer: PeerName | undefined;
  start(peer: Peer): Promise<Server>;
}

export const KINDS: readonly Kind[] = [
  { name: 'rest-server', protocol: 'rest', peer: 'rest-server', start: (program) => startRestServer(program) },
  { name: 'rclone', protocol: 'rest', peer: 'rclone', forgets: true, start: startRclone },
  { name: 'our server', protocol: 'rest', peer: undefined, start: () => startOurs() },
  { name: 'Ceph', protocol: 's3', peer: 'ceph', start: startCeph },
  {
    name: 'sshd',
    protocol: 'sftp',
    peer: 'sshd',
    async start(program) {
      const sshd = await startSshd(program);
      return Object.assign(sshd, { placeForRestic: sshd.placeBySsh });
    },
  },
];

/** What the tests of one suite share: the server, on which each has a place of its own. */
export interface Setting {
  readonly kind: Kind;
  /** Runs while the tests of the suite do. */
  server(): Server;
  readonly restic: Peer;
}

/** A suite for each kind of server that can be had, with restic beside it; `await`ed at the top level of a test file. */
export async function describeWithServers(
  title: string,
  kinds: readonly Kind[],
  suite: (setting: Setting) => void,
): Promise<void> {
  const restic = await peer('restic');
  for (const kind of kinds) {
    const needs = restic === undefined ? 'restic' : (kind.peer ?? 'restic');
    await describeWithPeer(needs, `${kind.name}: ${title}`, (program) => {
      if (restic === undefined) return;
      const running: Server[] = [];
      beforeAll(async () => void running.push(await kind.start(program)));
      afterAll(() => running[0]?.[Symbol.asyncDispose]());
      const server = (): Server => {
        const [found] = running;
        if (found === undefined) throw new Error(`${kind.name} has not been started yet`);
        return found;
      };
      suite({ kind, server, restic });
    });
  }
}

/** A place as both programs are told of it. */
export async function placesOn(
  server: Server,
  name: string,
): Promise<{ readonly ours: Place; readonly theirs: Place }> {
  const ours = await server.place(name);
  return { ours, theirs: (await server.placeForRestic?.(name)) ?? ours };
}

/** A place as a program opens it, without retries. */
export function openPlace({ location, env, options }: Place, more: OpenBackendOptions = {}): Promise<Backend> {
  const pairs = options.map((option) => {
    const equals = option.indexOf('=');
    return [option.slice(0, equals), option.slice(equals + 1)] as const;
  });
  return openBackend(location, { env, options: Object.fromEntries(pairs), ...more });
}
