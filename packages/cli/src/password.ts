/** Where passwords come from (restic manual, "Environment Variables" and "Password prompt"). They are never logged. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { Fatal, Incomplete, UsageError } from './failure.ts';
import { INTERRUPTED } from './signals.ts';
import { splitWords } from './values/shell-words.ts';
import { readTextFile, trimText } from './values/text-file.ts';

export interface PasswordSources {
  readonly command: string | undefined;
  readonly file: string | undefined;
  /** From the environment; taken as it is. */
  readonly text: string | undefined;
  readonly insecureNoPassword: boolean;
}

export type Password = string | Uint8Array;

export interface PasswordOptions {
  readonly signal: AbortSignal;
  /** The flag that allows empty passwords, '' where none does. @default '--insecure-no-password' */
  readonly emptyFlag?: string;
}

/** The password a source gives, or undefined when somebody has to be asked. Empty ones are refused. */
export async function resolvePassword(
  sources: PasswordSources,
  { signal, emptyFlag = '--insecure-no-password' }: PasswordOptions,
): Promise<Password | undefined> {
  const { command, file, text } = sources;
  if (sources.insecureNoPassword) {
    if (command === undefined && file === undefined && text === undefined) return '';
    throw new Fatal(
      `${emptyFlag} must not be specified together with providing a password via a cli option or environment variable`,
    );
  }
  if (command !== undefined && file !== undefined) {
    throw new Fatal('Password file and command are mutually exclusive options');
  }
  if (command !== undefined) return refuseEmpty(await runPasswordCommand(command, signal), emptyFlag);
  if (file !== undefined) return refuseEmpty(await readTextFile(file), emptyFlag);
  return text;
}

/** Throws for an empty password. */
export function refuseEmpty<P extends Password>(password: P, emptyFlag: string): P {
  if (password.length > 0) return password;
  if (emptyFlag === '') throw new Fatal('the password is empty');
  throw new Fatal(`an empty password is not allowed by default. Pass the flag \`${emptyFlag}\` to disable this check`);
}

/** The trimmed output of a command, which is run without a shell and may use the terminal to ask. */
async function runPasswordCommand(command: string, signal: AbortSignal): Promise<Uint8Array> {
  let words: string[];
  try {
    words = splitWords(command);
  } catch (error) {
    if (error instanceof UsageError) throw new Fatal(`Resolving password failed: ${error.message}`);
    throw error;
  }
  const [program = '', ...args] = words;
  const child = spawn(program, args, { stdio: ['inherit', 'pipe', 'inherit'], signal });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  // 'close' comes after all output; 'error' when there is no such program, and when the signal fires.
  const status = await once(child, 'close').catch((error: unknown) => {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new Fatal(`Resolving password failed: cannot run ${program} (${reason})`);
  });
  if (status[0] !== 0) throw new Fatal(`Resolving password failed: exit status ${String(status[0] ?? status[1])}`);
  return trimText(Buffer.concat(chunks));
}

/** Asks on the terminal without showing what is typed. Loads the prompt only now. */
export async function askOnTerminal(message: string, signal: AbortSignal): Promise<string> {
  const { isCancel, password } = await import('@clack/prompts');
  const answer = await password({ message, signal, output: process.stderr });
  if (isCancel(answer)) throw new Incomplete(INTERRUPTED, 'interrupted');
  return answer;
}

/** The first line of standard input: how a script hands over a password without a terminal. */
export async function readPasswordLine(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.replace(/\r?\n.*/s, '');
}

/** Can somebody be asked? */
export function canAsk(): boolean {
  return process.stdin.isTTY;
}
