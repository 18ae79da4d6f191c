/** What a command works with once the command line is understood. */
import type { Bandwidth } from 'restic-engine';
import type { GlobalFlags } from './flags.ts';
import { resolveGlobals } from './globals.ts';
import type { Environment, Globals } from './globals.ts';
import type { Outcome } from './outcome.ts';
import type { Source } from './profile/use.ts';
import { Ui } from './ui.ts';

export interface Context {
  readonly globals: Globals;
  readonly ui: Ui;
  readonly env: Environment;
  /** Names of restic's feature flags that are on. */
  readonly features: ReadonlySet<string>;
  /** What the profile backs up. */
  readonly sources: readonly Source[];
  readonly outcome: Outcome;
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

export function createContext(
  flags: GlobalFlags,
  given: Pick<Context, 'env' | 'features' | 'outcome' | 'signal' | 'sources'>,
): Context {
  const globals = resolveGlobals(flags, given.env);
  return { ...given, globals, ui: new Ui(globals), location: undefined, line: undefined, stdinIsData: false };
}
