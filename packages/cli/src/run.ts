/** One run of the program: from words to an exit status. */
import process from 'node:process';
import { CommanderError } from '@commander-js/extra-typings';
import { createContext } from './context.ts';
import type { Context, Start } from './context.ts';
import { explain, UsageError } from './failure.ts';
import type { Failure } from './failure.ts';
import { expandVerbose, findOperands } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { refuseGarbled } from './garbled.ts';
import type { Environment } from './globals.ts';
import { buildProgram, isMissingCommand } from './program.ts';
import { INTERRUPTED, listenForInterrupts } from './signals.ts';

/** Runs the command that `words` ask for and resolves with the exit status. Never rejects. */
export async function run(words: readonly string[], env: Environment): Promise<number> {
  using interrupts = listenForInterrupts();
  const argv = expandVerbose(words);
  const flags: GlobalFlags = {};
  let context: Context | undefined;
  const start: Start = () => (context = createContext(flags, env, interrupts.signal));
  try {
    await refuseGarbled(words);
    const [command] = findOperands(argv);
    if (isMissingCommand(command)) throw new UsageError(`the command ${command} is not available yet`);
    const program = await buildProgram(argv, flags, start);
    if (command === undefined) program.action(() => program.outputHelp());
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    context?.ui.clearStatus();
    // What fails after an interrupt fails because of it, and the person knows.
    if (interrupts.signal.aborted) return isBrokenPipe(interrupts.signal.reason) ? 1 : INTERRUPTED;
    const failure = await explainAll(error, context);
    // What was wrong may have been said before the flag was reached.
    report(failure, flags.json ?? argv.includes('--json'));
    return failure.exit;
  }
}

async function explainAll(error: unknown, context: Context | undefined): Promise<Failure> {
  // Commander's message begins with "error: ", and a line with a suggestion may follow.
  if (error instanceof CommanderError) return { exit: 1, message: error.message.replace(/^error: /, '') };
  return explain(error, context?.location);
}

function isBrokenPipe(reason: unknown): boolean {
  return reason instanceof Error && 'code' in reason && reason.code === 'EPIPE';
}

function report({ exit, message }: Failure, json: boolean): void {
  const text = json ? JSON.stringify({ message_type: 'exit_error', code: exit, message }) : message;
  process.stderr.write(`${text}\n`);
}
