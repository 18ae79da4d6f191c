/** What goes on around a command: the profile before it, hooks on both sides, metrics after it. */
import { hostname } from 'node:os';
import process from 'node:process';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { Fatal } from './failure.ts';
import type { Failure } from './failure.ts';
import type { GlobalFlags } from './flags.ts';
import { repositoryLocation, resolveGlobals } from './globals.ts';
import type { Environment } from './globals.ts';
import type { Hooks, HookName } from './profile/hooks.ts';
import type { ProfileInUse, Source } from './profile/use.ts';
import type { Outcome } from './outcome.ts';

/** They tell of the program: nothing of theirs could be set, and there is nothing to hook into. */
const ALONE: ReadonlySet<string> = new Set(['features', 'generate', 'help', 'options', 'profile', 'version']);

/** As many as fit into a variable: Linux takes 128 KiB. */
const MAX_IDS = 1000;

export class Session {
  readonly outcome: Outcome = { snapshots: [], figures: [] };
  /** Flags that the command line turns off, without `--`. */
  readonly off: Set<string> = new Set();
  readonly #flags: GlobalFlags;
  readonly #given: Environment;
  readonly #signal: AbortSignal;
  readonly #startedMs = Date.now();
  #command: CommandUnknownOpts | undefined;
  /** Those that call the command. */
  #words: readonly string[] = [];
  #used: ProfileInUse | undefined;
  #location: string | undefined;
  /** Hooks whose turn has come, the innermost first. */
  #entered: Hooks[] = [];

  constructor(flags: GlobalFlags, env: Environment, signal: AbortSignal) {
    this.#flags = flags;
    this.#given = env;
    this.#signal = signal;
  }

  /** With what the profile says. */
  get env(): Environment {
    return { ...this.#given, ...this.#used?.variables };
  }

  /** What the profile backs up. */
  get sources(): readonly Source[] {
    return this.#used?.sources ?? [];
  }

  /** Called when the command line is understood and the command about to run. Rejects when it must not. */
  async begin(command: CommandUnknownOpts): Promise<void> {
    const words = pathOf(command);
    const [first] = words;
    if (first === undefined || ALONE.has(first)) return;
    this.#command = command;
    this.#words = words;
    const name = this.#flags.profile ?? this.#given['RESTIC_ENGINE_PROFILE'];
    if (name) await this.#use(name, command, words);
    const hooks = this.#given['RESTIC_ENGINE_HOOK'] ? [] : (this.#used?.hooks ?? []).filter(hasAny);
    if (this.#flags.metricsFile || hooks.length > 0) this.#location = await this.#findLocation();
    for (const level of hooks) {
      this.#entered.unshift(level);
      await this.#runAll(level, 'run-before', (error) => {
        throw error;
      });
    }
  }

  /** Called when the command has ended, however it has. Tells of what goes wrong; the exit status is that of the command. */
  async end({ exit, message }: Failure): Promise<void> {
    const command = this.#command;
    if (command === undefined) return;
    const file = this.#flags.metricsFile;
    if (file && command.getOptionValue('dryRun') !== true) await this.#writeMetrics(file, exit);
    const warn = (error: Error): void => void process.stderr.write(`Warning: ${error.message}\n`);
    const result = {
      RESTIC_ENGINE_EXIT_CODE: String(exit),
      RESTIC_ENGINE_SNAPSHOT_IDS: this.outcome.snapshots.slice(-MAX_IDS).join(' '),
      ...(exit !== 0 && { RESTIC_ENGINE_ERROR: message }),
    };
    for (const level of this.#entered) {
      await this.#runAll(level, exit === 0 ? 'run-after' : 'run-failed', warn, result);
      await this.#runAll(level, 'run-finally', warn, result);
    }
  }

  async #use(name: string, command: CommandUnknownOpts, words: readonly string[]): Promise<void> {
    const { useProfile } = await import('./profile/use.ts');
    this.#used = await useProfile(name, words, {
      command,
      flags: this.#flags,
      off: this.off,
      env: this.#given,
    });
    // For the programs that are started, such as those that know the password.
    Object.assign(process.env, this.#used.variables);
  }

  async #runAll(level: Hooks, name: HookName, failed: (error: Error) => void, more: Environment = {}): Promise<void> {
    if (level[name].length === 0) return;
    const { runHook } = await import('./hooks/run.ts');
    const env = {
      ...this.env,
      RESTIC_ENGINE_HOOK: name,
      RESTIC_ENGINE_COMMAND: this.#words.join(' '),
      // Those who call restic-engine in a hook mean the same repository.
      RESTIC_ENGINE_PROFILE: this.#used?.profile.files[0],
      RESTIC_ENGINE_REPOSITORY: this.#location,
      ...more,
    };
    for (const hook of level[name]) {
      // Later ones put things in order.
      if (name === 'run-before') this.#signal.throwIfAborted();
      try {
        await runHook(hook, env, this.#signal);
      } catch (error) {
        if (!(error instanceof Fatal)) throw error;
        failed(error);
      }
    }
  }

  async #writeMetrics(file: string, exit: number): Promise<void> {
    const { writeMetrics } = await import('./metrics/write.ts');
    const labels = {
      command: this.#words.join(' '),
      host: hostname(),
      ...(this.#used && { profile: this.#used.profile.name }),
      ...(this.#location !== undefined && { repository: this.#location }),
    };
    const { figures } = this.outcome;
    try {
      await writeMetrics(file, { labels, figures, exit, startedMs: this.#startedMs, endedMs: Date.now() });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      process.stderr.write(`Warning: cannot write the metrics: ${error.message}\n`);
    }
  }

  /** Of the repository, without secrets; undefined where it cannot be told, which the command will complain of. */
  async #findLocation(): Promise<string | undefined> {
    const { repository, transport } = resolveGlobals(this.#flags, this.env);
    if (repository.location === undefined && repository.file === undefined) return undefined;
    const { EngineError, openBackend } = await import('restic-engine');
    try {
      const location = await repositoryLocation(repository);
      await using place = await openBackend(location, { options: transport.options, env: this.env });
      return place.location;
    } catch (error) {
      if (EngineError.is(error) || error instanceof Fatal) return undefined;
      throw error;
    }
  }
}

function hasAny(hooks: Hooks): boolean {
  return Object.values(hooks).some((list) => list.length > 0);
}

/** The words that call a command. */
function pathOf(command: CommandUnknownOpts): string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}
