/** Asks before something is changed for good. */
import process from 'node:process';
import { Incomplete, UsageError } from '../failure.ts';
import { canAsk } from '../password.ts';
import { INTERRUPTED } from '../signals.ts';
import type { CheContext } from './context.ts';

/** Without anybody to ask, the command line must say that nobody is to be asked. Checked before any work. */
export function refuseSilence(batch: boolean | undefined, json: boolean): void {
  if (batch || (canAsk() && !json)) return;
  throw new UsageError(
    json
      ? 'with --json nobody is asked: add --batch'
      : 'there is no terminal to ask on: add --batch to go ahead without',
  );
}

/** May the restore begin? Says so when it may not. */
export async function mayRestore(context: CheContext, batch: boolean | undefined, namespace: string): Promise<boolean> {
  if (batch || (await confirmed(`Restore Eclipse Che in ${namespace}?`, context.signal))) return true;
  context.ui.say('nothing was changed');
  return false;
}

async function confirmed(message: string, signal: AbortSignal): Promise<boolean> {
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({ message, initialValue: false, signal, output: process.stderr });
  if (isCancel(answer)) throw new Incomplete(INTERRUPTED, 'interrupted');
  return answer;
}
