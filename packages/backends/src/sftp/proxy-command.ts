import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';

/** Runs a `ProxyCommand` as ssh does, by a shell, and returns its standard input and output. Ending the stream ends it. */
export function startProxy(command: string): Duplex {
  const child = spawn(process.platform === 'win32' ? command : `exec ${command}`, {
    shell: true,
    stdio: ['pipe', 'pipe', 'ignore'],
    windowsHide: true,
  });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.once('error', (error) => stream.destroy(error));
  stream.once('close', () => child.kill());
  return stream;
}
