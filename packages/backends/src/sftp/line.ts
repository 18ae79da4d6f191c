import type { Pipe } from './protocol/pipe.ts';

/** A way to a server, on which SFTP sessions are opened. */
export interface Line {
  /** Is it of use still? Where not, another line is made. */
  readonly alive: boolean;
  /** Opens a new session. Rejects with `io`, `unauthorized`, `untrusted`, `bad-request` or `unsupported`. */
  open(): Promise<Pipe>;
  /** Ends everything on it; resolves when nothing is left. */
  close(): Promise<void>;
}

/** Makes a line. Rejects as {@link Line.open} does. */
export type Connect = () => Promise<Line>;
