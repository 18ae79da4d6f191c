import { EngineError } from '@restic-engine/repo-format';
import type { Backend, Call, FileHandle, FileType, ListedFile } from '@restic-engine/repo-format';
import { SYSTEM_TIME } from './time.ts';
import type { Time } from './time.ts';
import { override } from './wrap.ts';
import type { Wrapper } from './wrap.ts';

/** A call to a backend, as a fault plan sees it. */
export interface FaultCall {
  readonly method: 'create' | 'save' | 'load' | 'stat' | 'list' | 'remove';
  /** Undefined for `create`. */
  readonly type: FileType | undefined;
  /** Undefined for `create` and `list`. */
  readonly file: FileHandle | undefined;
  /** Counts all calls, from 1. */
  readonly count: number;
}

/** What goes wrong. */
export type Effect =
  /** Rejects without reaching the store. */
  | { readonly kind: 'fail-before'; readonly error?: EngineError }
  /** Rejects when the store has done its work; a listing rejects after `names` names, by default all. */
  | { readonly kind: 'fail-after'; readonly error?: EngineError; readonly names?: number }
  /** A load gives only the first `length` bytes, as no honest store would. */
  | { readonly kind: 'truncate'; readonly length: number }
  /** A load gives all bits of the byte at `offset` (from its end when negative) inverted. */
  | { readonly kind: 'flip'; readonly offset: number }
  /** The call starts later, in milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number };

/** One thing that goes wrong, and when. */
export interface Fault {
  /** The calls it is for. Default: all. */
  readonly when?: (call: FaultCall) => boolean;
  /** Only the n-th of those calls, from 1. Default: every one. */
  readonly nth?: number;
  readonly effect: Effect;
}

/** The death of the process, as the store sees it. */
export interface Crash {
  /** So many calls are carried out; the next one and every later call of any kind rejects. */
  readonly after: number;
  /** The calls that count. Default: all. */
  readonly when?: (call: FaultCall) => boolean;
  readonly error?: EngineError;
}

/** Everything that goes wrong. Faults of one call take effect in the order given. */
export interface FaultPlan {
  readonly faults?: readonly Fault[];
  readonly crash?: Crash;
  /** Told of every call that starts before a crash, for counting. */
  readonly onCall?: (call: FaultCall) => void;
  /** Replaces the clock. */
  readonly time?: Pick<Time, 'sleep'>;
}

/** Lets things go wrong at exact points, for tests. Each use of the wrapper counts for itself. */
export function withFaults(plan: FaultPlan): Wrapper {
  return (backend) => {
    const injector = new Injector(plan);
    return override(backend, {
      create: (call) => injector.run({ method: 'create' }, call, () => backend.create(call)),
      save: (file, segments, call) =>
        injector.run({ method: 'save', file }, call, () => backend.save(file, segments, call)),
      load: (file, range, call) => injector.load(file, call, () => backend.load(file, range, call)),
      stat: (file, call) => injector.run({ method: 'stat', file }, call, () => backend.stat(file, call)),
      list: (type, call) => injector.list(backend, type, call),
      remove: (file, call) => injector.run({ method: 'remove', file }, call, () => backend.remove(file, call)),
    });
  };
}

interface Target {
  readonly method: FaultCall['method'];
  readonly type?: FileType;
  readonly file?: FileHandle;
}

class Injector {
  readonly #plan: FaultPlan;
  readonly #hits = new Map<Fault, number>();
  #count = 0;
  #countedForCrash = 0;
  #crashed = false;

  constructor(plan: FaultPlan) {
    this.#plan = plan;
  }

  async run<T>(target: Target, call: Call | undefined, work: () => Promise<T>): Promise<T> {
    const effects = this.#effects(target);
    await this.#before(effects, call);
    const result = await work();
    for (const effect of effects) if (effect.kind === 'fail-after') throw failure(effect.error);
    return result;
  }

  async load(
    file: FileHandle,
    call: Call | undefined,
    work: () => Promise<Uint8Array<ArrayBuffer>>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const effects = this.#effects({ method: 'load', file });
    await this.#before(effects, call);
    let bytes = await work();
    for (const effect of effects) {
      if (effect.kind === 'fail-after') throw failure(effect.error);
      if (effect.kind === 'truncate') bytes = bytes.slice(0, effect.length);
      if (effect.kind === 'flip') flip(bytes, effect.offset);
    }
    return bytes;
  }

  async *list(backend: Backend, type: FileType, call: Call | undefined): AsyncGenerator<ListedFile> {
    const effects = this.#effects({ method: 'list', type });
    await this.#before(effects, call);
    const failing = effects.find((effect) => effect.kind === 'fail-after');
    let names = 0;
    for await (const file of backend.list(type, call)) {
      if (failing?.names === names) throw failure(failing.error);
      names += 1;
      yield file;
    }
    if (failing !== undefined) throw failure(failing.error);
  }

  /** Counts a call and finds what is to happen to it. */
  #effects(target: Target): Effect[] {
    const { faults = [], crash, onCall } = this.#plan;
    this.#count += 1;
    const { method, file, type = file?.type } = target;
    const call: FaultCall = { method, type, file, count: this.#count };
    if (crash !== undefined && this.#crashes(crash, call)) return [{ kind: 'fail-before', error: death(crash) }];
    onCall?.(call);
    return faults.filter((fault) => this.#strikes(fault, call)).map((fault) => fault.effect);
  }

  #crashes(crash: Crash, call: FaultCall): boolean {
    if (!this.#crashed && (crash.when?.(call) ?? true)) {
      this.#crashed = this.#countedForCrash === crash.after;
      this.#countedForCrash += 1;
    }
    return this.#crashed;
  }

  #strikes(fault: Fault, call: FaultCall): boolean {
    if (fault.when?.(call) === false) return false;
    const hit = (this.#hits.get(fault) ?? 0) + 1;
    this.#hits.set(fault, hit);
    return fault.nth === undefined || fault.nth === hit;
  }

  async #before(effects: readonly Effect[], call: Call | undefined): Promise<void> {
    const sleep = this.#plan.time?.sleep ?? SYSTEM_TIME.sleep;
    for (const effect of effects) {
      if (effect.kind === 'delay') await sleep(effect.ms, call?.signal);
      if (effect.kind === 'fail-before') throw failure(effect.error);
    }
  }
}

function failure(error: EngineError | undefined): EngineError {
  return error ?? new EngineError('io', 'injected fault');
}

function death(crash: Crash): EngineError {
  return crash.error ?? new EngineError('io', 'injected crash: the process is dead');
}

function flip(bytes: Uint8Array, offset: number): void {
  const at = offset < 0 ? bytes.length + offset : offset;
  const byte = bytes[at];
  if (byte === undefined) throw new RangeError(`there is no byte ${offset} to flip`);
  bytes[at] = byte ^ 0xff;
}
