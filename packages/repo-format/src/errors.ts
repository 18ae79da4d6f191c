/**
 * The one error class of restic-engine and the table of its codes.
 *
 * A code is stable between major versions, a message is not: match on `code`. Mistakes of the calling program
 * (a wrong type, a negative size) stay `TypeError` and `RangeError` and carry no code.
 */

const BRAND = Symbol.for('restic-engine.error');

interface CodeFacts {
  /** May the same call succeed when it is repeated later, with nothing changed by the caller? */
  readonly retryable: boolean;
  /** The exit status of the command line, restic's where restic has one (restic manual, "Exit codes"). */
  readonly exit: number;
}

/** code → what is known of it. `docs/errors.md` and the exit codes of the command line come from this table. */
export const CODES = {
  /** A file, blob, snapshot or path that was asked for is not there. */
  'not-found': { retryable: false, exit: 1 },
  /** A read reached past the end of a file: the file is shorter than its references say. */
  'out-of-range': { retryable: false, exit: 1 },
  /** Something that must not exist yet is there already. */
  'already-exists': { retryable: false, exit: 1 },
  /** More than one thing answers to a name that must be unique, such as a short snapshot id. */
  ambiguous: { retryable: false, exit: 1 },
  /** Stored bytes are not what they must be: a hash, a MAC, a length or a structure is wrong. */
  corrupt: { retryable: false, exit: 1 },
  /** Well-formed, but of a kind this version cannot handle: a repository version, a key derivation function. */
  unsupported: { retryable: false, exit: 1 },
  /** Refused by limits that protect memory and time: a size or cost that no sound repository asks for. */
  'too-large': { retryable: false, exit: 1 },
  /** The store or the system refuses the operation to this user. */
  denied: { retryable: false, exit: 1 },
  /** The store does not accept the name, password or key that it was given. */
  unauthorized: { retryable: false, exit: 1 },
  /** The store cannot prove to be the one that is meant: its TLS certificate or SSH host key is not trusted. */
  untrusted: { retryable: false, exit: 1 },
  /** The clocks of this machine and of the store are too far apart for the store to accept a request. */
  'clock-skew': { retryable: false, exit: 1 },
  /** The store has no space or quota left. */
  'no-space': { retryable: false, exit: 1 },
  /** The options of a call contradict each other or the state of the repository. */
  'bad-request': { retryable: false, exit: 1 },
  /** There is no repository at this location. */
  'no-repository': { retryable: false, exit: 10 },
  /** Another process holds a lock that excludes this operation. */
  locked: { retryable: true, exit: 11 },
  /** What was to be changed has been changed by somebody else meanwhile. */
  conflict: { retryable: true, exit: 1 },
  /** A backup is of another version, place or kind than what it is to be restored into. */
  mismatch: { retryable: false, exit: 1 },
  /** Something did not get ready in the time it was given. */
  timeout: { retryable: true, exit: 1 },
  /** A database refused a statement or its dump broke off. */
  database: { retryable: false, exit: 1 },
  /** No key of the repository opens with this password. */
  'wrong-password': { retryable: false, exit: 12 },
  /** The store asks for fewer requests; `context.retryAfterMs` says for how long, where the store does. */
  throttled: { retryable: true, exit: 1 },
  /** An input or output error of the store or the system. */
  io: { retryable: true, exit: 1 },
  /** The caller's `AbortSignal` fired. */
  aborted: { retryable: false, exit: 130 },
} as const;

/** Why something failed; docs/errors.md explains each. */
export type Code = keyof typeof CODES;

/** What an error says beside its message: ids, offsets, lengths, paths. JSON-safe and free of secrets. */
export type ErrorContext = Readonly<Record<string, string | number | boolean>>;

/**
 * An error of the engine.
 *
 * @example
 * ```ts
 * try {
 *   await openRepository({ backend, password });
 * } catch (error) {
 *   if (EngineError.is(error, 'wrong-password')) askAgain();
 *   else throw error;
 * }
 * ```
 */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: Code;
  readonly context: ErrorContext;

  constructor(code: Code, message: string, context: ErrorContext = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.context = context;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** May a repeat succeed? */
  get retryable(): boolean {
    const facts: CodeFacts = CODES[this.code];
    return facts.retryable;
  }

  /** True for errors of any copy of this package in the process, optionally only those with `code`. */
  static is(value: unknown, code?: Code): value is EngineError {
    return value instanceof Error && BRAND in value && 'code' in value && (code === undefined || value.code === code);
  }

  toJSON(): { code: Code; message: string; context: ErrorContext } {
    return { code: this.code, message: this.message, context: this.context };
  }
}

/** The reason of `signal` as an {@link EngineError} with code `aborted`. */
export function abortedError(signal: AbortSignal): EngineError {
  return new EngineError('aborted', 'the operation was aborted', {}, { cause: signal.reason });
}

/** Rejects with `aborted` when `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}
