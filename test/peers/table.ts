import type { Suite } from './apt.ts';

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

export type PeerName = 'restic' | 'rest-server' | 'rclone' | 'ceph' | 'sshd' | 'promtool' | 'shells';

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
};

export const peerNames: readonly PeerName[] = ['restic', 'rest-server', 'rclone', 'ceph', 'sshd', 'promtool', 'shells'];
