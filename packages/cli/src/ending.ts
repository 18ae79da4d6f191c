/** How the run of a program ends: what is told of a failure, and the exit status. */
import process from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { CommanderError } from '@commander-js/extra-typings';
import type { EngineError } from 'restic-engine';
import { explain } from './failure.ts';
import type { Failure } from './failure.ts';
import { withoutControls } from './render/quote.ts';
import { screenOf } from './render/screen.ts';
import { INTERRUPTED } from './signals.ts';
import type { Interrupts } from './signals.ts';

export const DONE: Failure = { exit: 0, message: '' };

interface Circumstances {
  readonly signal: AbortSignal;
  /** The repository at work, free of secrets. */
  readonly location: string | undefined;
  readonly json: boolean;
  /** What is said of an error of the engine. Default: its message. */
  readonly say?: (error: EngineError) => string;
}

/** Tells of what a command failed with, and resolves with what it comes to. */
export async function endWith(error: unknown, { signal, location, json, say }: Circumstances): Promise<Failure> {
  // What fails after an interrupt fails because of it, and the person knows.
  if (signal.aborted) return { exit: isBrokenPipe(signal.reason) ? 1 : INTERRUPTED, message: 'interrupted' };
  const failure = await explainAll(error, location, say);
  report(failure, json);
  return failure;
}

/** What a command tells is its result, so not to have told it is a failure. What went wrong before counts first. */
export async function afterWriting(ended: Failure, interrupts: Interrupts, json: boolean): Promise<Failure> {
  // That the last words could not be written is told a moment later.
  await setImmediate();
  if (ended.exit !== 0 || interrupts.unwritten === undefined) return ended;
  const failure = { exit: 1, message: `Fatal: cannot write to standard output: ${interrupts.unwritten.message}` };
  report(failure, json);
  return failure;
}

async function explainAll(error: unknown, location: string | undefined, say: Circumstances['say']): Promise<Failure> {
  // Commander's message begins with "error: ", and a line with a suggestion may follow.
  if (error instanceof CommanderError) return { exit: 1, message: error.message.replace(/^error: /, '') };
  return explain(error, location, say);
}

function isBrokenPipe(reason: unknown): boolean {
  return reason instanceof Error && 'code' in reason && reason.code === 'EPIPE';
}

function report({ exit, message }: Failure, json: boolean): void {
  const { stderr } = process;
  const { style } = screenOf(stderr);
  const said = stderr.isTTY ? style('red', withoutControls(message)) : message;
  stderr.write(`${json ? JSON.stringify({ message_type: 'exit_error', code: exit, message }) : said}\n`);
}
