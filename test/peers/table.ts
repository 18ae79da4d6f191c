import type { Suite } from './apt.ts';
import { KUBE_APISERVER } from './kubernetes.ts';

/** How a program is built that Debian has the source of only. */
export interface BuildFacts {
  /** Packages of the same release that are unpacked for this, and removed with the source when it is done. */
  readonly tools: readonly string[];
  build(places: BuildPlaces): Promise<void>;
}

export interface BuildPlaces {
  /** The `.orig.tar.*` of the source package. */
  readonly tarball: string;
  /** Where the tools have been unpacked. */
  readonly tools: string;
  /** An empty folder for everything that nobody needs afterwards. */
  readonly work: string;
  /** Where the program is expected. */
  readonly program: string;
}

/** How a real program that tests measure against is got and recognized. To add one: CONTRIBUTING.md, "A test peer". */
export interface PeerFacts {
  /** What it is good for, in a few words; printed by `pnpm peers`. */
  readonly purpose: string;
  /** The release of Debian it comes from. */
  readonly suite: Suite;
  /** The Debian package it comes from. */
  readonly debian: string;
  /**
   * Packages that are unpacked with it, for programs that are more than one file. The libraries all of them need and the
   * system does not have are unpacked too.
   */
  readonly companions?: readonly string[];
  /** For a program that Debian has the source of only: `debian` is the source package then. */
  readonly build?: BuildFacts;
  /** The program inside the unpacked package. */
  readonly binary: string;
  /** What it is called on PATH. */
  readonly command: string;
  readonly versionArguments: readonly string[];
  /** Finds the version in what the program prints; its first group is the version. */
  readonly version: RegExp;
  /** The versions that the tests were written against. */
  readonly accepts: RegExp;
}

export type PeerName =
  | 'restic'
  | 'rest-server'
  | 'rclone'
  | 'ceph'
  | 'sshd'
  | 'promtool'
  | 'shells'
  | 'etcd'
  | 'kube-apiserver'
  | 'kubectl'
  | 'postgresql';

export const PEERS: Readonly<Record<PeerName, PeerFacts>> = {
  restic: {
    purpose: 'the judge of the repository format',
    suite: 'sid',
    debian: 'restic',
    binary: 'usr/bin/restic',
    command: 'restic',
    versionArguments: ['version'],
    version: /^restic (\d+\.\d+\.\d+)/,
    accepts: /^0\.19\./,
  },
  'rest-server': {
    purpose: "restic's own REST server",
    suite: 'sid',
    debian: 'restic-rest-server',
    binary: 'usr/bin/restic-rest-server',
    command: 'rest-server',
    versionArguments: ['--version'],
    version: /rest-server (\d+\.\d+\.\d+)/,
    accepts: /^0\.14\./,
  },
  rclone: {
    purpose: 'a second REST, SFTP and WebDAV server',
    suite: 'sid',
    debian: 'rclone',
    binary: 'usr/bin/rclone',
    command: 'rclone',
    versionArguments: ['version'],
    version: /^rclone v(\d+\.\d+\.\d+)/,
    accepts: /^1\.(?:6|7|8|9)\d\./,
  },
  ceph: {
    purpose: 'an S3 server that checks signatures (RADOS Gateway)',
    suite: 'bookworm',
    debian: 'radosgw',
    companions: ['ceph-mon', 'ceph-osd', 'ceph-base', 'ceph-common', 'openssl'],
    binary: 'usr/bin/radosgw',
    command: 'radosgw',
    versionArguments: ['--version'],
    version: /^ceph version (\d+\.\d+\.\d+)/,
    accepts: /^16\.2\./,
  },
  sshd: {
    purpose: "OpenSSH's server, for SFTP",
    suite: 'bookworm',
    debian: 'openssh-server',
    companions: ['openssh-sftp-server'],
    binary: 'usr/sbin/sshd',
    command: 'sshd',
    versionArguments: ['-V'],
    version: /OpenSSH_(\d+\.\d+)/,
    accepts: /^(?:9|10)\./,
  },
  promtool: {
    purpose: "Prometheus' own reader of metrics",
    suite: 'bookworm',
    debian: 'prometheus',
    binary: 'usr/bin/promtool',
    command: 'promtool',
    versionArguments: ['--version'],
    version: /^promtool, version (\d+\.\d+\.\d+)/,
    accepts: /^[23]\./,
  },
  shells: {
    purpose: 'shells that complete, and a reader of manual pages',
    suite: 'bookworm',
    debian: 'zsh',
    companions: ['zsh-common', 'fish', 'mandoc'],
    binary: 'bin/zsh',
    command: 'zsh',
    versionArguments: ['--version'],
    version: /^zsh (\d+\.\d+)/,
    accepts: /^5\./,
  },
  etcd: {
    purpose: 'what a Kubernetes API server keeps its state in',
    suite: 'sid',
    debian: 'etcd-server',
    binary: 'usr/bin/etcd',
    command: 'etcd',
    versionArguments: ['--version'],
    version: /^etcd Version: (\d+\.\d+\.\d+)/,
    accepts: /^3\.[5-9]\./,
  },
  'kube-apiserver': {
    purpose: 'the API of Kubernetes',
    suite: 'bookworm',
    debian: 'kubernetes',
    build: KUBE_APISERVER,
    binary: 'kube-apiserver',
    command: 'kube-apiserver',
    versionArguments: ['--version'],
    version: /^Kubernetes v(\d+\.\d+\.\d+)/,
    accepts: /^1\.(?:2\d|[3-9]\d)\./,
  },
  kubectl: {
    purpose: "Kubernetes' command line",
    suite: 'bookworm',
    debian: 'kubernetes-client',
    binary: 'usr/bin/kubectl',
    command: 'kubectl',
    versionArguments: ['version', '--client'],
    version: /GitVersion:"v(\d+\.\d+\.\d+)/,
    accepts: /^1\.\d\d\./,
  },
  postgresql: {
    purpose: 'a database, with the programs that dump and load it',
    suite: 'bookworm',
    debian: 'postgresql-15',
    companions: ['postgresql-client-15'],
    binary: 'usr/lib/postgresql/15/bin/postgres',
    command: 'postgres',
    versionArguments: ['--version'],
    version: /^postgres \(PostgreSQL\) (\d+\.\d+)/,
    accepts: /^15\./,
  },
};

export const peerNames: readonly PeerName[] = Object.keys(PEERS) as PeerName[];
