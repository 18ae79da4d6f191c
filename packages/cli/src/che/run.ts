/** One run of che-backup: from words to an exit status. */
import { CommanderError } from '@commander-js/extra-typings';
import { afterWriting, DONE, endWith } from '../ending.ts';
import { withContext } from '../failure.ts';
import type { Failure } from '../failure.ts';
import { refuseGarbled } from '../garbled.ts';
import { findOperands } from '../global-flag.ts';
import type { Environment } from '../globals.ts';
import { listenForInterrupts } from '../signals.ts';
import { expandSwitches } from '../switches.ts';
import { createCheContext } from './context.ts';
import type { CheContext, CheStart } from './context.ts';
import { CHE_FLAGS } from './flags.ts';
import type { CheFlags } from './flags.ts';
import { buildCheProgram } from './program.ts';

/** Runs the command that `words` ask for and resolves with the exit status. Never rejects. */
export async function run(words: readonly string[], env: Environment): Promise<number> {
  using interrupts = listenForInterrupts();
  const flags: CheFlags = {};
  const called = await runCommand(words, flags, env, interrupts.signal);
  const ended = await afterWriting(called, interrupts, flags.json === true);
  return ended.exit;
}

async function runCommand(
  words: readonly string[],
  flags: CheFlags,
  env: Environment,
  signal: AbortSignal,
): Promise<Failure> {
  let context: CheContext | undefined;
  const start: CheStart = () => (context = createCheContext(flags, env, signal));
  try {
    await refuseGarbled(words);
    const program = await buildCheProgram(words, flags, start);
    if (findOperands(words, CHE_FLAGS).length === 0) program.action(() => program.outputHelp());
    await program.parseAsync(expandSwitches(words, program), { from: 'user' });
    return DONE;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return DONE;
    context?.ui.clearStatus();
    const json = flags.json ?? words.includes('--json');
    return endWith(error, { signal, location: context?.location, json, say: withContext });
  }
}
