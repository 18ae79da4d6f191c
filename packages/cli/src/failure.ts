/** How a command fails: what is told, and the exit status that restic has for it (restic manual, "Exit status codes"). */
import type { EngineError } from 'restic-engine';

/** The command line itself is wrong. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

/** A value of a flag cannot be understood; commander says which flag it is. */
export class InvalidValue extends UsageError {
  readonly code = 'commander.invalidArgument';
}

/** Something else keeps a command from its work; the message is for people and starts with `Fatal: `. */
export class Fatal extends Error {
  override readonly name = 'Fatal';
}

/** The work is done, but not all of it. */
export class Incomplete extends Error {
  override readonly name = 'Incomplete';
  readonly exit: number;

  constructor(exit: number, message: string) {
    super(message);
    this.exit = exit;
  }
}

/** Says which flag a value that cannot be read belongs to. */
export function namingFlag<T>(flag: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${flag}: ${error.message}`);
    throw error;
  }
}

export interface Failure {
  readonly exit: number;
  /** May have several lines. */
  readonly message: string;
}

/** What an error of the engine says; restic says no more. */
const plain = ({ message }: EngineError): string => message;

/** With what it is about, where the message does not say that. */
export function withContext({ message, context }: EngineError): string {
  const news = Object.entries(context).filter(([, value]) => !message.includes(String(value)));
  const said = news.map(([name, value]) => `${name}: ${String(value)}`);
  return said.length === 0 ? message : `${message} (${said.join(', ')})`;
}

/**
 * What to tell of an error, and the exit status. `location` is the repository's, without secrets; `say` is for errors of
 * the engine.
 */
export async function explain(
  error: unknown,
  location: string | undefined,
  say: typeof plain = plain,
): Promise<Failure> {
  if (error instanceof UsageError) return { exit: 1, message: error.message };
  if (error instanceof Fatal) return { exit: 1, message: `Fatal: ${error.message}` };
  if (error instanceof Incomplete) return { exit: error.exit, message: error.message };
  if (!(error instanceof Error)) return { exit: 1, message: `Fatal: ${String(error)}` };
  if (error.name === 'EngineError') return explainEngineError(error, location, say);
  // A system error names the file and the cause; anything else is a mistake of this program and its place matters.
  const known = 'code' in error;
  return { exit: 1, message: `Fatal: ${known ? error.message : (error.stack ?? error.message)}` };
}

/** The engine is loaded only where its error says that it has been loaded before. */
async function explainEngineError(
  error: Error,
  location: string | undefined,
  say: (error: EngineError) => string,
): Promise<Failure> {
  const { CODES, EngineError } = await import('restic-engine');
  if (!EngineError.is(error)) return { exit: 1, message: `Fatal: ${error.message}` };
  const exit = CODES[error.code].exit;
  switch (error.code) {
    case 'no-repository':
      return {
        exit,
        message: `Fatal: repository does not exist\nIs there a repository at the following location?\n${location ?? ''}`,
      };
    case 'wrong-password':
      return { exit, message: 'Fatal: wrong password or no key found' };
    case 'locked':
      return { exit, message: lockedMessage(error.message, error.context) };
    case 'corrupt':
      return { exit, message: `Fatal: ${say(error)}${'lock' in error.context ? `\n${REMOVE_ALL}` : ''}` };
    case 'aborted':
      return { exit, message: 'interrupted' };
    default:
      return { exit, message: `Fatal: ${say(error)}` };
  }
}

/** A damaged lock does not say whose it is: only a person can know that nobody needs it. */
const REMOVE_ALL =
  'when no other process uses the repository, the `unlock --remove-all` command removes damaged locks too';

function lockedMessage(message: string, context: Readonly<Record<string, string | number | boolean>>): string {
  const lines = [`unable to create lock in backend: ${message}`];
  const { lock } = context;
  if (typeof lock === 'string') lines.push(`storage ID ${lock.slice(0, 8)}`);
  lines.push('the `unlock` command can be used to remove stale locks');
  return lines.join('\n');
}
