/** Commands in containers, through the API's WebSocket (the protocols `v5.channel.k8s.io` and `v4.channel.k8s.io`). */
import { createHash, randomBytes } from 'node:crypto';
import { EngineError } from 'restic-engine';
import { POD } from '../objects/kinds.ts';
import type { Api } from './api.ts';
import type { ExecOptions, RunningCommand } from './cluster.ts';
import { describeRef, objectPath } from './paths.ts';
import { connectionError, readStatus, withoutValues } from './refusal.ts';
import { abortedError } from './wait.ts';
import { WebSocketConnection } from './websocket.ts';

const V5 = 'v5.channel.k8s.io';
const V4 = 'v4.channel.k8s.io';
/** The first byte of a message. */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
/** In v5: the stream that the second byte names is at its end. */
const CLOSE = 255;
/** What is kept of standard error, in bytes. */
const MAX_STDERR = 16 * 1024;
/** Longest piece of standard input in a message. */
const PIECE = 32 * 1024;
/** After the exit status the API closes the connection; what does not is not waited for any longer. */
const LINGER_MS = 2000;

type Ended = Awaited<RunningCommand['ended']>;

export async function execInPod(api: Api, options: ExecOptions): Promise<RunningCommand> {
  const { namespace, pod, container, command, stdin, signal } = options;
  const ref = { kind: POD, namespace, name: pod };
  const subject = `run ${command[0] ?? 'a command'} in ${describeRef(ref)}`;
  const query = new URLSearchParams({ stdout: 'true', stderr: 'true' });
  if (container !== undefined) query.set('container', container);
  if (stdin !== undefined) query.set('stdin', 'true');
  for (const word of command) query.append('command', word);
  const key = randomBytes(16).toString('base64');
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': `${V5}, ${V4}`,
  };
  const path = `${objectPath(ref, 'exec')}?${query.toString()}`;
  const { socket, response } = await api.upgrade({ method: 'GET', path, subject, headers, repeatable: false, signal });
  const protocol = response.headers['sec-websocket-protocol'];
  if ((protocol !== V5 && protocol !== V4) || response.headers['sec-websocket-accept'] !== acceptOf(key)) {
    socket.destroy();
    throw new EngineError('unsupported', `cannot ${subject}: the API speaks neither of the protocols for that`);
  }
  return new Execution(new WebSocketConnection(socket), subject, protocol === V5, stdin, signal).command();
}

/** RFC 6455 §1.3. */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

class Execution {
  readonly #connection: WebSocketConnection;
  readonly #subject: string;
  readonly #signal: AbortSignal | undefined;
  readonly #ended = Promise.withResolvers<Ended>();
  #stderr: Buffer = Buffer.alloc(0);
  #status: unknown;
  /** Why the connection was given up on this side. */
  #reason: unknown;

  constructor(
    connection: WebSocketConnection,
    subject: string,
    closable: boolean,
    stdin: AsyncIterable<Uint8Array> | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#connection = connection;
    this.#subject = subject;
    this.#signal = signal;
    // Whoever reads standard output learns of it there.
    this.#ended.promise.catch(() => undefined);
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.#abort();
    if (stdin !== undefined) void this.#feed(stdin, closable);
  }

  command(): RunningCommand {
    return { stdout: this.#stdout(), ended: this.#ended.promise };
  }

  readonly #abort = (): void => {
    if (this.#signal !== undefined) this.#giveUp(abortedError(this.#signal));
  };

  /** Breaks the connection, for which the command may have seen an end of its input. */
  #giveUp(reason: unknown): void {
    this.#reason ??= reason;
    this.#ended.reject(this.#reason);
    this.#connection.destroy();
  }

  async #feed(stdin: AsyncIterable<Uint8Array>, closable: boolean): Promise<void> {
    try {
      for await (const chunk of stdin) {
        for (let at = 0; at < chunk.length; at += PIECE) {
          if (!(await this.#send(Buffer.from([STDIN]), chunk.subarray(at, at + PIECE)))) return;
        }
      }
    } catch (error) {
      if (this.#status === undefined) this.#giveUp(error);
      return;
    }
    if (closable) await this.#send(Buffer.from([CLOSE, STDIN]));
  }

  /** false when the connection has ended. A command may do so before it has read everything; its status tells. */
  async #send(...parts: readonly Uint8Array[]): Promise<boolean> {
    try {
      await this.#connection.send(...parts);
      return true;
    } catch (error) {
      if (this.#status === undefined) this.#giveUp(connectionError(this.#subject, error));
      return false;
    }
  }

  async *#stdout(): AsyncGenerator<Uint8Array> {
    const messages = this.#connection.messages();
    let finished = false;
    try {
      for (;;) {
        const { done, value: message } = await this.#next(messages);
        if (done) break;
        const content = message.subarray(1);
        if (message[0] === STDOUT && content.length > 0) yield content;
        else if (message[0] === STDERR) this.#keep(content);
        else if (message[0] === STATUS && content.length > 0) this.#status = parseStatus(content);
      }
      finished = true;
      this.#finish();
    } catch (error) {
      finished = true;
      this.#fail(error);
    } finally {
      this.#signal?.removeEventListener('abort', this.#abort);
      this.#connection.destroy();
      if (!finished) this.#ended.reject(new EngineError('aborted', `nobody reads what came of: ${this.#subject}`));
    }
  }

  /** After the status nothing should come but the end of the connection, and a silence is taken for it. */
  async #next(messages: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
    if (this.#status === undefined) return messages.next();
    const linger = setTimeout(() => this.#connection.destroy(), LINGER_MS);
    try {
      return await messages.next();
    } finally {
      clearTimeout(linger);
    }
  }

  #keep(content: Buffer): void {
    this.#stderr = Buffer.concat([this.#stderr, content]).subarray(-MAX_STDERR);
  }

  /** The connection has ended, in whatever way: after the status that is all there is. */
  #fail(error: unknown): void {
    if (this.#status !== undefined && this.#reason === undefined) {
      this.#finish();
      return;
    }
    const known = error instanceof EngineError ? error : connectionError(this.#subject, error);
    const reason: unknown = this.#reason ?? known;
    this.#ended.reject(reason);
    throw reason;
  }

  #finish(): void {
    const exitCode = exitCodeOf(this.#status);
    if (exitCode !== undefined) {
      this.#ended.resolve({ exitCode, stderr: this.#stderr.toString('utf8') });
      return;
    }
    const said = readStatus(this.#status);
    const why = said === undefined ? 'the connection ended without the exit status' : withoutValues(said.message);
    const error = new EngineError('io', `cannot ${this.#subject}: ${why}`);
    this.#ended.reject(error);
    throw error;
  }
}

function parseStatus(content: Buffer): unknown {
  try {
    const json: unknown = JSON.parse(content.toString('utf8'));
    return json;
  } catch {
    throw new EngineError('io', 'the API sends an exit status that is none');
  }
}

/** undefined when the command did not run to its end. */
function exitCodeOf(json: unknown): number | undefined {
  if (typeof json === 'object' && json !== null && 'status' in json && json.status === 'Success') return 0;
  const status = readStatus(json);
  if (status?.reason !== 'NonZeroExitCode') return undefined;
  const code = Number(status.causes.find(({ reason }) => reason === 'ExitCode')?.message);
  return Number.isInteger(code) ? code : undefined;
}
