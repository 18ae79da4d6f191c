/** One run of the program: from words to an exit status. */
import process from 'node:process';
import { CommanderError } from '@commander-js/extra-typings';
import { createContext } from './context.ts';
import type { Context, Start } from './context.ts';
import { afterWriting, DONE, endWith } from './ending.ts';
import { UsageError } from './failure.ts';
import type { Failure } from './failure.ts';
import { enabledFeatures } from './features.ts';
import { expandVerbose, GLOBAL_FLAGS } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { refuseGarbled } from './garbled.ts';
import { findOperands } from './global-flag.ts';
import type { Environment } from './globals.ts';
import { buildProgram } from './program.ts';
import { Session } from './session.ts';
import { listenForInterrupts } from './signals.ts';
import { expandSwitches } from './switches.ts';

const SELF_UPDATE =
  'there is no self-update: npm updates what it has installed, with `npm install --global @restic-engine/cli@latest`';

/** Runs the command that `words` ask for and resolves with the exit status. Never rejects. */
export async function run(words: readonly string[], env: Environment): Promise<number> {
  using interrupts = listenForInterrupts();
  const flags: GlobalFlags = {};
  const session = new Session(flags, env, interrupts.signal);
  const called = await runCommand(words, flags, session, interrupts.signal);
  const ended = await afterWriting(called, interrupts, flags.json === true);
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
    const [command] = findOperands(argv, GLOBAL_FLAGS);
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
    // What was wrong may have been said before the flag was reached.
    return endWith(error, { signal, location: context?.location, json: flags.json ?? argv.includes('--json') });
  }
}
