/** A line made by the package ssh2: one SSH connection, with a channel for each session. */
import type { Duplex } from 'node:stream';
import { EngineError } from '@restic-engine/repo-format';
import type { AuthHandlerMiddleware, Client, ClientChannel } from 'ssh2';
import { attemptsFor } from './auth.ts';
import type { Attempts } from './auth.ts';
import { prepareKeys } from './cipher-keys.ts';
import { hostKeyCheck } from './host-key.ts';
import type { HostKeyCheck } from './host-key.ts';
import type { Line } from './line.ts';
import type { SftpOptions } from './options.ts';
import type { Pipe } from './protocol/pipe.ts';
import { startProxy } from './proxy-command.ts';
import { openSocket } from './socket.ts';
import { loadSsh2 } from './ssh2.ts';
import type { Ssh2 } from './ssh2.ts';
import { resolveTarget } from './target.ts';
import type { Target } from './target.ts';

/** How long connecting may take, keys and passwords included. */
const READY_MS = 30_000;
/** A sign of life is asked for so often; the connection is lost when so many stay without an answer. */
const KEEPALIVE = { keepaliveInterval: 60_000, keepaliveCountMax: 5 };
/** How long the last words to a server may take. */
const PATIENCE_MS = 1000;
const MAX_JUMPS = 8;
/** Of those that OpenSSL does with the processor's own instructions the fastest first. */
const CIPHERS = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr'] as const;
const CHACHA = 'chacha20-poly1305@openssh.com';

/** Connects to the host of `options` and logs in. Rejects with `io`, `untrusted`, `unauthorized` or `unsupported`. */
export async function connectSsh(options: SftpOptions): Promise<Line> {
  const ssh2 = await loadSsh2();
  return new SshLine(await login(ssh2, await resolveTarget(options), options, 0));
}

/** What carries the bytes of a client. */
interface Carrier {
  readonly sock: Duplex;
  gather?(): void;
  reuseBuffer?(): void;
}

/** A client that has logged in. */
interface Login extends Carrier {
  readonly client: Client;
}

class SshLine implements Line {
  readonly #client: Client;
  readonly #carrier: Carrier;
  readonly #gone: Promise<EngineError>;
  #alive = true;

  constructor({ client, ...carrier }: Login) {
    this.#client = client;
    this.#carrier = carrier;
    let failure: Error | undefined;
    this.#gone = new Promise((resolve) => {
      client.on('error', (error) => {
        failure ??= error;
      });
      client.once('close', () => {
        this.#alive = false;
        const what = failure === undefined ? '' : `: ${failure.message}`;
        resolve(new EngineError('io', `the SSH connection is lost${what}`, {}, { cause: failure }));
      });
    });
  }

  get alive(): boolean {
    // A stream that the server has ended is closed a little later.
    return this.#alive && this.#carrier.sock.writable;
  }

  async open(): Promise<Pipe> {
    const opening = new Promise<ClientChannel>((resolve, reject) => {
      const refuse = (error: Error): void =>
        reject(new EngineError('io', `the server offers no SFTP session: ${error.message}`, {}, { cause: error }));
      try {
        this.#client.subsys('sftp', (error, channel) => (error === undefined ? resolve(channel) : refuse(error)));
      } catch (error) {
        // It throws where the connection has ended and nobody was told yet.
        refuse(error instanceof Error ? error : new Error(String(error)));
      }
    });
    const lost = this.#gone.then((reason) => Promise.reject(reason));
    const channel = await Promise.race([opening, lost]);
    const ended = new Promise<EngineError>((resolve) => {
      channel.once('close', () => resolve(new EngineError('io', 'the server ended the SFTP session')));
    });
    const gone = Promise.race([this.#gone, ended]);
    const { gather } = this.#carrier;
    return {
      input: channel,
      output: channel,
      gone,
      ...(gather && { gather }),
      async close() {
        channel.close();
        await gone;
      },
    };
  }

  async close(): Promise<void> {
    if (!this.#alive) return;
    const { sock } = this.#carrier;
    // Says goodbye and ends the stream; what the server has to say to that is of no interest.
    sock.once('finish', () => sock.destroy());
    this.#client.end();
    const timer = setTimeout(() => sock.destroy(), PATIENCE_MS);
    await this.#gone;
    clearTimeout(timer);
  }
}

/** A client that has shown who it is, and whose host has. */
async function login(ssh2: Ssh2, target: Target, options: SftpOptions, depth: number): Promise<Login> {
  const check = await hostKeyCheck(target.hostKey);
  const attempts = await attemptsFor(ssh2, target, options);
  const carrier = await dial(ssh2, target, options, depth);
  const client = new ssh2.Client();
  // Nobody listens for errors between here and there, and none may end the process.
  client.on('error', () => undefined);
  try {
    await handshake(client, carrier.sock, target, check, attempts);
    carrier.reuseBuffer?.();
    prepareKeys(client);
    return { client, ...carrier };
  } catch (error) {
    carrier.sock.destroy();
    throw error;
  }
}

function handshake(client: Client, sock: Duplex, target: Target, check: HostKeyCheck, known: Attempts): Promise<void> {
  return new Promise((resolve, reject) => {
    let refusal: unknown;
    client.once('ready', resolve);
    client.on('error', (error: Error & { level?: string }) => {
      // An agent that does not answer is one attempt less.
      if (error.level !== 'agent') reject(refusal ?? connectionError(error, target, known));
    });
    client.once('close', () => reject(refusal ?? new EngineError('io', `${target.host} ended the SSH connection`)));
    client.connect({
      sock,
      username: target.user,
      readyTimeout: READY_MS,
      ...KEEPALIVE,
      algorithms: { serverHostKey: check.algorithms, cipher: [...CIPHERS, CHACHA] },
      hostVerifier: (key: Buffer, decide: (valid: boolean) => void) => {
        check.check(key).then(
          () => decide(true),
          (error: unknown) => {
            refusal = error;
            decide(false);
          },
        );
      },
      authHandler: oneByOne(known, () => reject(unauthorized(target, known))),
    });
  });
}

/** Offers what there is, in order, leaving out what the server does not want. */
function oneByOne({ attempts }: Attempts, exhausted: () => void): AuthHandlerMiddleware {
  const left = [...attempts];
  return (wanted, _partial, next) => {
    for (let attempt = left.shift(); attempt !== undefined; attempt = left.shift()) {
      const { method } = attempt;
      const name = method.type === 'agent' ? 'publickey' : method.type;
      // Nothing is known of the server's wishes before the first attempt, whatever the types say.
      if (!Array.isArray(wanted) || wanted.includes(name)) return next(method);
    }
    exhausted();
  };
}

/** A stream to the host: directly, through a command, or through other hosts. */
async function dial(ssh2: Ssh2, target: Target, options: SftpOptions, depth: number): Promise<Carrier> {
  const last = target.jumps.at(-1);
  if (last !== undefined) return { sock: await jump(ssh2, target, last, options, depth) };
  if (target.proxyCommand !== undefined) return { sock: startProxy(target.proxyCommand) };
  return openSocket(target.host, target.port);
}

async function jump(ssh2: Ssh2, target: Target, through: string, options: SftpOptions, depth: number): Promise<Duplex> {
  if (depth >= MAX_JUMPS) throw new EngineError('bad-request', 'ProxyJump leads in circles', { host: target.host });
  const [, user, host = '', port] = /^(?:ssh:\/\/)?(?:(.*)@)?\[?(.*?)\]?(?::(\d+))?$/.exec(through) ?? [];
  const { port: _port, user: _user, ...others } = options;
  const first = await resolveTarget({
    ...others,
    host,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port: Number(port) }),
  });
  const before = target.jumps.slice(0, -1);
  const { client } = await login(ssh2, before.length === 0 ? first : { ...first, jumps: before }, options, depth + 1);
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, target.host, target.port, (error, channel) => {
      if (error !== undefined) {
        client.end();
        const message = `${host} does not forward to ${target.host}: ${error.message}`;
        return reject(new EngineError('io', message, {}, { cause: error }));
      }
      channel.once('close', () => client.end());
      resolve(channel);
    });
  });
}

function unauthorized(target: Target, { attempts, notes }: Attempts, why?: string): EngineError {
  const where = `${target.host}:${target.port}`;
  const tried = attempts.map(({ what }) => what).join(', ');
  const message = `${where} does not let ${target.user} in with ${[tried, ...notes, ...(why ? [why] : [])].join('; ')}`;
  return new EngineError('unauthorized', message, { host: target.host, port: target.port });
}

function connectionError(error: Error, target: Target, known: Attempts): EngineError {
  // Servers end the conversation after some attempts, whatever else there would be to try.
  if (/too many authentication failures/i.test(error.message)) return unauthorized(target, known, error.message);
  const { host, port } = target;
  const code = /no matching/.test(error.message) ? 'unsupported' : 'io';
  return new EngineError(code, `cannot connect to ${host}:${port}: ${error.message}`, { host, port }, { cause: error });
}
