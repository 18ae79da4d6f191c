/** What a command of che-backup works with once the command line is understood. */
import type { Environment } from '../globals.ts';
import { Ui } from '../ui.ts';
import type { CheFlags } from './flags.ts';

export interface CheContext {
  readonly flags: CheFlags;
  readonly env: Environment;
  readonly ui: Ui;
  /** Fires at the first interrupt. */
  readonly signal: AbortSignal;
  /** The repository at work, for messages; free of secrets. */
  location: string | undefined;
}

/** Called by a command's action, when the flags are parsed. */
export type CheStart = () => CheContext;

export function createCheContext(flags: CheFlags, env: Environment, signal: AbortSignal): CheContext {
  const ui = new Ui({ json: flags.json ?? false, verbosity: flags.quiet ? 0 : 1 });
  return { flags, env, ui, signal, location: undefined };
}
