/** How a real program that tests measure against is got and recognized. To add one: CONTRIBUTING.md, "A test peer". */
export interface PeerFacts {
  /** What it is good for, in a few words; printed by `pnpm peers`. */
  readonly purpose: string;
  /** The Debian package it comes from. */
  readonly debian: string;
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

export type PeerName = 'restic' | 'rest-server' | 'rclone';

export const PEERS: Readonly<Record<PeerName, PeerFacts>> = {
  restic: {
    purpose: 'the judge of the repository format',
    debian: 'restic',
    binary: 'usr/bin/restic',
    command: 'restic',
    versionArguments: ['version'],
    version: /^restic (\d+\.\d+\.\d+)/,
    accepts: /^0\.19\./,
  },
  'rest-server': {
    purpose: "restic's own REST server",
    debian: 'restic-rest-server',
    binary: 'usr/bin/restic-rest-server',
    command: 'rest-server',
    versionArguments: ['--version'],
    version: /rest-server (\d+\.\d+\.\d+)/,
    accepts: /^0\.14\./,
  },
  rclone: {
    purpose: 'a second REST, SFTP and WebDAV server',
    debian: 'rclone',
    binary: 'usr/bin/rclone',
    command: 'rclone',
    versionArguments: ['version'],
    version: /^rclone v(\d+\.\d+\.\d+)/,
    accepts: /^1\.(?:6|7|8|9)\d\./,
  },
};

export const peerNames: readonly PeerName[] = ['restic', 'rest-server', 'rclone'];
