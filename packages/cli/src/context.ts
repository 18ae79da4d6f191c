/** What a command works with once the command line is understood. */
import type { Bandwidth } from 'restic-engine';
import type { GlobalFlags } from './flags.ts';
import { resolveGlobals } from './globals.ts';
import type { Environment, Globals } from './globals.ts';
import { Ui } from './ui.ts';

export interface Context {
  readonly globals: Globals;
  readonly ui: Ui;
  readonly env: Environment;
  /** Fires at the first interrupt. */
  readonly signal: AbortSignal;
  /** The repository at work, for messages; free of secrets. */
  location: string | undefined;
  /** Shared by all repositories at work; undefined where it has no limits. */
  line: Bandwidth | undefined;
  /** Standard input is what is backed up, so no password can come from it. */
  stdinIsData: boolean;
}

/** Called by a command's action, when the flags are parsed. */
export type Start = () => Context;

export function createContext(flags: GlobalFlags, env: Environment, signal: AbortSignal): Context {
  const globals = resolveGlobals(flags, env);
  return { globals, ui: new Ui(globals), env, signal, location: undefined, line: undefined, stdinIsData: false };
}
