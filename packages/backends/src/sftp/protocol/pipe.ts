import type { Readable, Writable } from 'node:stream';
import type { EngineError } from '@restic-engine/repo-format';

/** Two streams with an SFTP server at their other end: a channel of an SSH connection, or a process. */
export interface Pipe {
  /** What the server says. */
  readonly input: Readable;
  /** What it is told. */
  readonly output: Writable;
  /** Makes what is written until this turn of the event loop ends go on its way together. */
  gather?(): void;
  /** Resolves with the reason when the server is gone, whatever made it go. Never rejects. */
  readonly gone: Promise<EngineError>;
  /** Ends it; resolves when nothing is left of it. */
  close(): Promise<void>;
}
