import type { Bandwidth } from '../bandwidth.ts';
import type { Environment } from '../scheme.ts';

/** A repository on an SFTP server, and how to get there. What is left out comes from the SSH configuration, as for `ssh`. */
export interface SftpOptions {
  /** A name or an address, or a `Host` of the SSH configuration. */
  readonly host: string;
  /** Default: that of the SSH configuration, or 22. */
  readonly port?: number;
  /** Default: that of the SSH configuration, or the name of the local user. */
  readonly user?: string;
  /** The folder of the repository on the server; a relative one begins where the user is put at login. */
  readonly path: string;
  /** Requests worth running at once. Default 5, as in restic. */
  readonly connections?: number;
  /** A private key in OpenSSH, PEM or PPK format: the text itself. */
  readonly privateKey?: string;
  /** Files with private keys, tried in this order. */
  readonly identityFiles?: readonly string[];
  /** Opens private keys that are encrypted. */
  readonly passphrase?: string;
  /** Tried last, also where the server asks for it interactively. */
  readonly password?: string;
  /** The socket of an SSH agent, or `false` for none. Default: that of the SSH configuration, or of `SSH_AUTH_SOCK`. */
  readonly agent?: string | false;
  /** The SSH configuration to use, or `false` for none. Default: `~/.ssh/config` and that of the system. */
  readonly configFile?: string | false;
  /** Host keys to trust beside those of files, in the format of `known_hosts`: the text itself. */
  readonly knownHosts?: string;
  /** Files with known hosts. Default: those of the SSH configuration, or `~/.ssh/known_hosts` and that of the system. */
  readonly knownHostsFiles?: readonly string[];
  /**
   * Told of the key of a host of which nothing is known, as a line of `known_hosts`; the key counts as known when this
   * resolves. Several connections may ask at once. Default: such a host is refused.
   */
  readonly learnHostKey?: (line: string) => Promise<void>;
  /** Accepts any key of any host, and with it anybody in between. Default false. */
  readonly insecureAcceptAnyHostKey?: boolean;
  /**
   * A program and its arguments that speaks SFTP on its standard input and output. It replaces everything that is said
   * here about connecting, and no SSH library is loaded.
   */
  readonly command?: readonly string[];
  /** The line to share with other backends. */
  readonly bandwidth?: Bandwidth;
  /** Milliseconds without an answer after which the connection counts as lost. Default 5 minutes. */
  readonly stuckMs?: number;
  /** Where `HOME` and `SSH_AUTH_SOCK` come from. Default: the environment of this process. */
  readonly env?: Environment;
}
