/** The servers that repositories are measured on, each a real program on this machine. */
import { findPeer } from '../../test/peers/find.ts';
import type { Peer } from '../../test/peers/cache.ts';
import type { PeerName } from '../../test/peers/table.ts';
import { startCeph } from '../../test/servers/ceph.ts';
import { startOurs } from '../../test/servers/ours.ts';
import { startRestServer } from '../../test/servers/rest-server.ts';
import type { Place, Server } from '../../test/servers/server.ts';
import { startSshd } from '../../test/servers/sshd.ts';
import type { Program } from '../macro/programs.ts';

export type KindName = 'rest-server' | 'ours' | 's3' | 'sftp';

export interface Kind {
  readonly name: KindName;
  /** What it is, in a few words. */
  readonly about: string;
  /** Speaks HTTP, so that requests can be counted on the way. */
  readonly http: boolean;
  /** A new, empty server. */
  start(): Promise<MeasuredServer>;
}

export interface MeasuredServer extends AsyncDisposable {
  readonly port: number;
  /** The place `name` as `program` reaches it, through a proxy when `port` is another than the server's own. */
  place(name: string, program: Program, options?: { readonly port?: number }): Promise<Place>;
}

async function peerNamed(name: PeerName): Promise<Peer> {
  const { peer } = await findPeer(name, { patient: true });
  if (peer === undefined) throw new Error(`there is no ${name} to measure with: pnpm peers`);
  return peer;
}

export const KINDS: readonly Kind[] = [
  {
    name: 'rest-server',
    about: "REST: restic's rest-server",
    http: true,
    start: async () => alike(await startRestServer(await peerNamed('rest-server'))),
  },
  { name: 'ours', about: 'REST: restic-engine serve', http: true, start: async () => alike(await startOurs()) },
  {
    name: 's3',
    about: "S3: Ceph's RADOS Gateway, in memory",
    http: true,
    start: async () => alike(await startCeph(await peerNamed('ceph'))),
  },
  { name: 'sftp', about: "SFTP: OpenSSH's sshd", http: false, start: startSftp },
];

/** Both programs reach it in the same way. */
function alike(server: Server): MeasuredServer {
  return {
    port: server.port,
    place: (name, _, options) => server.place(name, options),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** restic by the program `ssh`, which is all it can; ours by itself. */
async function startSftp(): Promise<MeasuredServer> {
  const server = await startSshd(await peerNamed('sshd'));
  return {
    port: server.port,
    place: (name, { name: program }, options) =>
      program === 'restic' ? server.placeBySsh(name, options) : server.place(name, options),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
