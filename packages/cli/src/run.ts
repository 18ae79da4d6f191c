/** One run of the program: from words to an exit status. */
import process from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { CommanderError } from '@commander-js/extra-typings';
import { createContext } from './context.ts';
import type { Context, Start } from './context.ts';
import { explain, UsageError } from './failure.ts';
import type { Failure } from './failure.ts';
import { enabledFeatures } from './features.ts';
import { expandVerbose, findOperands } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { refuseGarbled } from './garbled.ts';
import type { Environment } from './globals.ts';
import { buildProgram } from './program.ts';
import { Session } from './session.ts';
import { withoutControls } from './render/quote.ts';
import { screenOf } from './render/screen.ts';
import { INTERRUPTED, listenForInterrupts } from './signals.ts';
import { expandSwitches } from './switches.ts';

const DONE: Failure = { exit: 0, message: '' };

const SELF_UPDATE =
  'there is no self-update: npm updates what it has installed, with `npm install --global @restic-engine/cli@latest`';

/** Runs the command that `words` ask for and resolves with the exit status. Never rejects. */
export async function run(words: readonly string[], env: Environment): Promise<number> {
  using interrupts = listenForInterrupts();
  const flags: GlobalFlags = {};
  const session = new Session(flags, env, interrupts.signal);
  let ended = await runCommand(words, flags, session, interrupts.signal);
  // That the last words could not be written is told a moment later.
  await setImmediate();
  // What a command tells is its result. What went wrong before counts first.
  if (ended.exit === 0 && interrupts.unwritten !== undefined) {
    ended = { exit: 1, message: `Fatal: cannot write to standard output: ${interrupts.unwritten.message}` };
    report(ended, flags.json === true);
  }
  await session.end(ended);
  return ended.exit;
}

async function runCommand(
  words: readonly string[],
  flags: GlobalFlags,
  session: Session,
  signal: AbortSignal,
): Promise<Failure> {
  const argv = expandVerbose(words);
  let context: Context | undefined;
  const start: Start = () => {
    const { env, outcome, sources } = session;
    const features = enabledFeatures(env['RESTIC_FEATURES'], (message) => process.stderr.write(`${message}\n`));
    return (context = createContext(flags, { env, features, outcome, signal, sources }));
  };
  try {
    await refuseGarbled(words);
    const [command] = findOperands(argv);
    if (command === 'self-update') throw new UsageError(SELF_UPDATE);
    const program = await buildProgram(argv, flags, start);
    if (command === undefined) program.action(() => program.outputHelp());
    program.hook('preAction', (_, action) => session.begin(action));
    const plain = expandSwitches(argv, program, (name) => session.off.add(name));
    await program.parseAsync(plain, { from: 'user' });
    return DONE;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return DONE;
    context?.ui.clearStatus();
    // What fails after an interrupt fails because of it, and the person knows.
    if (signal.aborted) return { exit: isBrokenPipe(signal.reason) ? 1 : INTERRUPTED, message: 'interrupted' };
    const failure = await explainAll(error, context);
    // What was wrong may have been said before the flag was reached.
    report(failure, flags.json ?? argv.includes('--json'));
    return failure;
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
  const { stderr } = process;
  const { style } = screenOf(stderr);
  const said = stderr.isTTY ? style('red', withoutControls(message)) : message;
  stderr.write(`${json ? JSON.stringify({ message_type: 'exit_error', code: exit, message }) : said}\n`);
}
