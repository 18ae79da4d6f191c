/**
 * Ceph's RADOS Gateway: an S3 server that checks signatures. A cluster of one monitor, one object store in memory and the
 * gateway, as plain processes on this machine.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { libraryTriplet } from '../peers/cache.ts';
import type { Peer } from '../peers/peers.ts';
import { run } from '../peers/run.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import type { Server } from './server.ts';

/** A pair of keys, as the environment of restic and of ours holds them. */
export interface Keys {
  readonly AWS_ACCESS_KEY_ID: string;
  readonly AWS_SECRET_ACCESS_KEY: string;
}

export interface Ceph extends Server {
  /** The same server with TLS; its certificate is for `localhost` and 127.0.0.1. */
  readonly tlsPort: number;
  /** What the certificate of `tlsPort` can be verified with, PEM. */
  readonly caCertificate: string;
  /** The keys of places. */
  readonly keys: Keys;
  /** May list and read what the user of `keys` owns, and change nothing. */
  readonly readOnlyKeys: Keys;
  /** A new user, who owns nothing. */
  user(uid: string): Promise<Keys>;
  /** A new user, whose buckets may hold `bytes` bytes together; in steps of 4 KiB, and a little late. */
  userWithQuota(bytes: number): Promise<Keys>;
}

const KEYS: Keys = {
  AWS_ACCESS_KEY_ID: 'AKIATESTTESTTESTTEST',
  AWS_SECRET_ACCESS_KEY: 'testsecret/testsecret+testsecrettestsecr',
};
const READ_ONLY_KEYS: Keys = {
  AWS_ACCESS_KEY_ID: 'AKIAREADONLYREADONLY',
  AWS_SECRET_ACCESS_KEY: 'readonlysecretreadonlysecretreadonlysecr',
};

/** Starts a new, empty cluster; takes a second or two. */
export async function startCeph(peer: Peer): Promise<Ceph> {
  const folder = makeTempDir();
  const daemons: Daemon[] = [];
  const dispose = async (): Promise<void> => {
    for (const daemon of daemons.toReversed()) await daemon.kill();
    folder[Symbol.dispose]();
  };
  try {
    const cluster = await makeCluster(peer, folder.path);
    daemons.push(await cluster.startMonitor());
    daemons.push(await cluster.startStore());
    // Waits for the two, and makes the pools that the gateway needs.
    await cluster.addUser('test', KEYS);
    await cluster.admin('subuser', 'create', '--uid=test', '--subuser=test:read', '--access=read');
    await cluster.admin('key', 'create', '--subuser=test:read', '--key-type=s3', ...keyArguments(READ_ONLY_KEYS));
    let gateway = await cluster.startGateway();
    const { port, tlsPort, caCertificate } = cluster;
    const user = async (uid: string): Promise<Keys> => {
      const keys = { AWS_ACCESS_KEY_ID: randomUUID(), AWS_SECRET_ACCESS_KEY: randomUUID() };
      await cluster.addUser(uid, keys);
      return keys;
    };
    return {
      port,
      tlsPort,
      caCertificate,
      keys: KEYS,
      readOnlyKeys: READ_ONLY_KEYS,
      place: async (name, { port: through = port } = {}) => ({
        location: `s3:http://127.0.0.1:${through}/${name}`,
        env: { ...KEYS },
        options: [],
        secrets: [KEYS.AWS_SECRET_ACCESS_KEY],
      }),
      user,
      async userWithQuota(bytes) {
        const uid = `small-${randomUUID()}`;
        const keys = await user(uid);
        await cluster.admin('quota', 'set', '--quota-scope=user', `--uid=${uid}`, `--max-size=${bytes}B`);
        await cluster.admin('quota', 'enable', '--quota-scope=user', `--uid=${uid}`);
        return keys;
      },
      async restart() {
        await gateway.kill();
        gateway = await cluster.startGateway();
      },
      async [Symbol.asyncDispose]() {
        await gateway.kill();
        await dispose();
      },
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

const keyArguments = (keys: Keys): string[] => [
  `--access-key=${keys.AWS_ACCESS_KEY_ID}`,
  `--secret-key=${keys.AWS_SECRET_ACCESS_KEY}`,
];

/** A cluster whose folders are made and of which nothing runs yet. */
interface Cluster {
  readonly port: number;
  readonly tlsPort: number;
  readonly caCertificate: string;
  startMonitor(): Promise<Daemon>;
  /** The monitor must run. */
  startStore(): Promise<Daemon>;
  startGateway(): Promise<Daemon>;
  admin(...args: string[]): Promise<string>;
  addUser(uid: string, keys: Keys): Promise<string>;
}

async function makeCluster(peer: Peer, folder: string): Promise<Cluster> {
  const programs = dirname(peer.path);
  const libraries = join(programs, '..', 'lib', libraryTriplet());
  const [port, tlsPort, monitorPort] = await freePorts();
  const fsid = randomUUID();
  const monitor = `v2:127.0.0.1:${monitorPort}`;
  const settings = join(folder, 'ceph.conf');
  const common = ['-c', settings];
  const exec = (program: string, ...args: string[]): Promise<string> =>
    run(join(programs, program), args, 60, folder, peer.env);
  const start = (program: string, args: readonly string[], ready: RegExp): Promise<Daemon> =>
    startDaemon({
      command: join(programs, program),
      args: ['-f', ...common, ...args],
      cwd: folder,
      env: peer.env,
      ready,
    });
  const admin: Cluster['admin'] = (...args) => exec('radosgw-admin', ...common, '-n', 'client.rgw', ...args);

  for (const name of ['mon', 'osd', 'run']) await mkdir(join(folder, name));
  await writeFile(settings, settingsText({ folder, libraries, fsid, monitor, port, tlsPort }));
  await writeFile(join(folder, 'openssl.cnf'), CERTIFICATE_REQUEST);
  await exec('openssl', ...'req -x509 -config openssl.cnf -newkey rsa:2048 -nodes -days 30 -out tls.crt'.split(' '));
  await exec('ceph-authtool', ...'--create-keyring keyring --gen-key -n mon.'.split(' '), '--cap', 'mon', 'allow *');
  await exec('monmaptool', '--create', '--fsid', fsid, '--addv', 'a', `[${monitor}]`, 'monmap');
  // The monitor starts with a map that has the object store in it already: no other tool has to add it.
  await exec('osdmaptool', ...common, '--createsimple', '1', 'osdmap');
  await exec('ceph-mon', ...common, ...'--mkfs -i a --monmap monmap --osdmap osdmap --keyring keyring'.split(' '));
  return {
    port,
    tlsPort,
    caCertificate: await readFile(join(folder, 'tls.crt'), 'utf8'),
    startMonitor: () => start('ceph-mon', ['-i', 'a'], /mon\.a/),
    async startStore() {
      await exec('ceph-osd', ...common, ...'--mkfs -i 0 --osd-uuid'.split(' '), randomUUID());
      return start('ceph-osd', ['-i', '0'], /osd\.0/);
    },
    async startGateway() {
      const gateway = await start('radosgw', ['-n', 'client.rgw'], /starting handler: beast/);
      await listens(tlsPort);
      return gateway;
    },
    admin,
    addUser: (uid, keys) => admin('user', 'create', `--uid=${uid}`, '--display-name=test', ...keyArguments(keys)),
  };
}

/** Three ports that were free a moment ago. */
async function freePorts(): Promise<[number, number, number]> {
  const servers = [createServer(), createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) server.close();
  return ports as [number, number, number];
}

/** Resolves when somebody accepts connections at `port`, which must be soon. */
async function listens(port: number): Promise<void> {
  for (const patience = performance.now() + 10_000; ; await setTimeout(20)) {
    const socket = connect({ port, host: '127.0.0.1' });
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (performance.now() > patience) throw error;
    } finally {
      socket.destroy();
    }
  }
}

const CERTIFICATE_REQUEST = `[req]
default_keyfile = tls.key
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost, IP:127.0.0.1
`;

interface Settings {
  readonly folder: string;
  readonly libraries: string;
  readonly fsid: string;
  /** Address of the monitor. */
  readonly monitor: string;
  readonly port: number;
  readonly tlsPort: number;
}

function settingsText({ folder, libraries, fsid, monitor, port, tlsPort }: Settings): string {
  return `[global]
fsid = ${fsid}
mon host = ${monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
# Daemons trust each other: they live on this machine, and not for long. The gateway checks S3's signatures all the same.
auth cluster required = none
auth service required = none
auth client required = none
run dir = ${folder}/run
admin socket =
plugin dir = ${libraries}/ceph
erasure code dir = ${libraries}/ceph/erasure-code
osd class dir = ${libraries}/rados-classes
log file =
log to stderr = true
err to stderr = true
# one store, one copy
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000

[mon.a]
mon data = ${folder}/mon
mon data avail crit = 1
mon data avail warn = 2
mon osd auto mark in = true
mon cluster log file =
paxos propose interval = 0.05

[osd]
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = ${8 * 2 ** 30}
osd class update on start = false
osd crush update on start = false
osd mclock skip benchmark = true
osd op num shards = 2
osd op num threads per shard = 1

[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port} ssl_endpoint=127.0.0.1:${tlsPort} ssl_certificate=${folder}/tls.crt ssl_private_key=${folder}/tls.key
rgw enable apis = s3
# Else a gateway that was killed keeps the next one waiting for half a minute: it is told of changes.
rgw cache enabled = false
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw run sync thread = false
rgw override bucket index max shards = 1
rgw rados pool pg num min = 4
# Quotas are looked at again at once.
rgw bucket quota ttl = 0
rgw user quota bucket sync interval = 1
# The gateway insists on encryption unless it is told not to.
ms mon client mode = crc
`;
}
