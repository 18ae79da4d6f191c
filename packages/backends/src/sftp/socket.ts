import { Buffer } from 'node:buffer';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import process from 'node:process';

/** Bytes taken from the system at once. */
const READ_BYTES = 128 * 1024;

/** A TCP connection for ssh2, which writes and reads in small pieces. */
export interface SshSocket {
  readonly sock: Socket;
  /** Holds back what is written until this turn of the event loop ends. */
  gather(): void;
  /** To be called when everything that arrives is encrypted: what ssh2 is given then, it copies. */
  reuseBuffer(): void;
}

/**
 * Connects without delaying small packets: a request must not wait for the answer to the one before. What is written in
 * one turn goes to the system at once. Half of the time that encrypted packets take would otherwise go into single writes
 * and into collecting the buffers of reads.
 */
export function openSocket(host: string, port: number): SshSocket {
  const reused = Buffer.allocUnsafeSlow(READ_BYTES);
  let reuses = false;
  const sock = createConnection({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    onread: {
      buffer: () => (reuses ? reused : Buffer.allocUnsafeSlow(READ_BYTES)),
      callback: (length, bytes) => {
        gather();
        sock.emit('data', Buffer.from(bytes.buffer, bytes.byteOffset, length));
        return true;
      },
    },
  });
  let gathering = false;
  function gather(): void {
    if (gathering) return;
    gathering = true;
    sock.cork();
    process.nextTick(() => {
      gathering = false;
      sock.uncork();
    });
  }
  return {
    sock,
    gather,
    reuseBuffer() {
      reuses = true;
    },
  };
}
