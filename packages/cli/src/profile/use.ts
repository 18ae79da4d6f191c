/** A profile at work: what a run takes from it. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { applySettings, readSettings, withSettings } from './apply.ts';
import type { Target } from './apply.ts';
import { hooksAt } from './hooks.ts';
import type { Hooks } from './hooks.ts';
import { loadProfile, merge } from './load.ts';
import type { Profile } from './load.ts';
import { addedVariables, checkSections, flagsAt, sectionAt } from './settings.ts';
import { sourcesIn } from './sources.ts';

/** One of several things to back up, each for a snapshot of its own. */
export interface Source {
  /** For people and metrics; no other has it. */
  readonly name: string;
  /** Paths, or the words of a command. */
  readonly operands: readonly string[];
  readonly isCommand: boolean;
  /** Calls `read` while the flags of the command are those of this source. */
  withFlags<T>(read: () => T): T;
}

export interface ProfileInUse {
  readonly profile: Profile;
  /** Variables that it adds to the environment. */
  readonly variables: Readonly<Record<string, string>>;
  readonly sources: readonly Source[];
  /** Those around all, then those around the command. */
  readonly hooks: readonly Hooks[];
}

/**
 * Sets the flags of a command as the profile of that name says. `path`: the words of the command. Throws `UsageError`
 * for all that is wrong in what the command takes from it.
 */
export async function useProfile(name: string, path: readonly string[], target: Target): Promise<ProfileInUse> {
  const profile = await loadProfile(name, target.env);
  const { root } = profile;
  const { command } = target;
  const program = programOf(command);
  checkSections(root, commandsOf(program));
  const common = sectionAt(root, ['global']);
  // Flags of one command are not for all.
  readSettings(common, { ...target, command: program });
  const variables = addedVariables(root, target.env);
  const hooks = [hooksAt(root, []), hooksAt(root, path)];
  const sources = path.join() === 'backup' ? sourcesIn(root) : [];
  for (const { settings } of sources) readSettings(settings, target);
  // What the command's own table says counts before what all have.
  applySettings(merge(common, flagsAt(root, path, commandsOf(command))), target);
  return {
    profile,
    variables,
    hooks,
    sources: sources.map(({ settings, ...source }) => ({
      ...source,
      withFlags: (read) => withSettings(settings, target, read),
    })),
  };
}

export function commandsOf(command: CommandUnknownOpts): string[] {
  return command.commands.map((inner) => inner.name());
}

function programOf(command: CommandUnknownOpts): CommandUnknownOpts {
  return command.parent === null ? command : programOf(command.parent);
}
