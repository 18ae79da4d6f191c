/**
 * What backups and restores have in common. Creating the object begins the job; what its spec says then is what is done.
 * A job that was interrupted begins again, errors that may pass are shown while they last, others end it.
 */
import { isDeepStrictEqual } from 'node:util';
import { EngineError } from 'restic-engine';
import { throwIfAborted } from '../cluster/wait.ts';
import type { Json, Kind, KubeObject } from '../objects/object.ts';
import { rfc3339 } from '../resources/conditions.ts';
import { isFinished, type JobStatus, readJobStatus } from '../resources/job.ts';
import { DONE, type OperatorContext, tell } from './context.ts';
import { codeOf, describe, mayPass, reasonOf } from './failure.ts';
import { type NewCondition, StatusWriter } from './job-status.ts';
import type { Outcome } from './queue.ts';

type Fields = Readonly<Record<string, Json | undefined>>;

/** A job that is being done. */
export interface RunningJob {
  readonly context: OperatorContext;
  readonly namespace: string;
  /** As it was when the job began. */
  readonly object: KubeObject;
  readonly signal: AbortSignal;
  /** Shows what is being done now, and other fields. */
  stage(text: string, fields?: Fields): Promise<void>;
  /** The same, soon: for callbacks. */
  stageSoon(text: string): void;
  /** Shows what keeps it from going on. */
  troubleSoon(message: string): void;
}

export interface JobKind {
  readonly kind: Kind;
  /** `Backup`, `Restore`. */
  readonly noun: string;
  /** Resolves to the fields of the status of one that has succeeded, and to what is said of it. */
  readonly work: (job: RunningJob) => Promise<{ readonly fields: Fields; readonly message: string }>;
  /** Is an error final that may pass for others? */
  readonly isFinal: (error: unknown) => boolean;
}

const WAITING = 'Waiting for its turn';

export async function reconcileJob(
  context: OperatorContext,
  job: JobKind,
  namespace: string,
  name: string,
): Promise<Outcome> {
  const { cluster, signal, now, turns } = context;
  const call = { signal };
  const found = await cluster.get({ kind: job.kind, namespace, name }, call);
  if (found === undefined || found.metadata.deletionTimestamp !== undefined) return DONE;
  const writer = new StatusWriter(cluster, job.kind, found, now);
  if (!isFinished(readJobStatus(found))) await accept(context, job, writer);
  await noteEdits(context, writer);
  if (isFinished(readJobStatus(writer.object))) return DONE;
  try {
    return await turns.take(namespace, signal, () => runJob(context, job, namespace, writer));
  } catch (error) {
    // The next leader goes on.
    if (signal.aborted) return DONE;
    throw error;
  }
}

/** From here on the job is under way, with this spec. */
async function accept(context: OperatorContext, { noun }: JobKind, writer: StatusWriter): Promise<void> {
  const { signal, now } = context;
  const status = readJobStatus(writer.object);
  if (status.acceptedSpec !== undefined) return;
  const started = status.startTime ?? rfc3339(now());
  const fields = {
    state: 'InProgress',
    stage: status.stage ?? WAITING,
    message: inProgress(noun, started),
    startTime: started,
    acceptedSpec: writer.object.spec ?? {},
    observedGeneration: writer.object.metadata.generation,
  };
  await writer.write(fields, [complete('False', 'InProgress', 'it is being done')], { signal });
  await tell(context, writer.object, { type: 'Normal', reason: `${noun}Started`, message: `${noun} has begun` });
}

const inProgress = (noun: string, since: string): string => `${noun} is in progress since ${since}`;

async function noteEdits(context: OperatorContext, writer: StatusWriter): Promise<void> {
  const { acceptedSpec, conditions } = readJobStatus(writer.object);
  const changed = acceptedSpec !== undefined && !isDeepStrictEqual(acceptedSpec, writer.object.spec ?? {});
  const noted = conditions.find(({ type }) => type === 'SpecChanged')?.status === 'True';
  if (changed === noted) return;
  const message = changed
    ? 'the spec was changed after the job had begun, which has no effect: create another object instead'
    : 'the spec is again what it was when the job began';
  const reason = changed ? 'Ignored' : 'AsAccepted';
  const condition = { type: 'SpecChanged', status: changed ? 'True' : 'False', reason, message } as const;
  await writer.write({}, [condition], { signal: context.signal });
  if (changed) await tell(context, writer.object, { type: 'Warning', reason: 'SpecIgnored', message });
}

async function runJob(
  context: OperatorContext,
  job: JobKind,
  namespace: string,
  writer: StatusWriter,
): Promise<Outcome> {
  const progress = new Progress(context, writer);
  // What went wrong last time is shown until it goes on.
  const message = inProgress(job.noun, readJobStatus(writer.object).startTime ?? '');
  const running: RunningJob = {
    context,
    namespace,
    object: { ...writer.object, spec: readJobStatus(writer.object).acceptedSpec ?? {} },
    signal: context.signal,
    stage: (text, fields = {}) => progress.write({ message, ...fields, stage: text }),
    stageSoon: (text) => progress.soon({ stage: text }),
    troubleSoon: (trouble) => progress.soon({ message: trouble }),
  };
  try {
    throwIfAborted(context.signal);
    const { fields, message: said } = await job.work(running);
    await progress.settled();
    await succeed(context, job, writer, fields, said);
    return DONE;
  } catch (error) {
    await progress.settled();
    throwIfAborted(context.signal);
    return await fail(context, job, writer, error);
  }
}

async function succeed(
  context: OperatorContext,
  { noun }: JobKind,
  writer: StatusWriter,
  fields: Fields,
  said: string,
): Promise<void> {
  const { signal, now } = context;
  const completionTime = rfc3339(now());
  const message = `${said} at ${completionTime}`;
  const conditions = [complete('True', 'Succeeded', said), retrying('False', 'Succeeded', 'it has succeeded')];
  const end = { ...fields, state: 'Succeeded', stage: undefined, message, completionTime };
  await writer.write(end, conditions, { signal });
  count(context, writer.object, 'succeeded');
  await tell(context, writer.object, { type: 'Normal', reason: `${noun}Succeeded`, message: said });
}

/** Resolves to what becomes of the job after an error. */
async function fail(context: OperatorContext, job: JobKind, writer: StatusWriter, error: unknown): Promise<Outcome> {
  const { signal, now, giveUpAfterMs, cluster, tallies } = context;
  const { name, namespace } = writer.object.metadata;
  const there = await cluster.get({ kind: job.kind, namespace, name: name }, { signal });
  if (there?.metadata.uid !== writer.object.metadata.uid) return DONE;
  const { startTime, retries = 0 } = readJobStatus(writer.object);
  const since = startTime === undefined ? 0 : now().getTime() - Date.parse(startTime);
  const text = describe(error);
  const reason = reasonOf(error);
  logFailure(context, writer.object, error);
  if (mayPass(error) && !job.isFinal(error) && since < giveUpAfterMs) {
    const message = `Error: ${text}; it is tried again`;
    await writer.write({ message, retries: retries + 1 }, [retrying('True', reason, text)], { signal });
    tallies.retries.add({ kind: job.kind.kind, namespace: namespace ?? '' });
    // The first one says why; one for each attempt would push others out of sight.
    if (retries === 0)
      await tell(context, writer.object, { type: 'Warning', reason: `${job.noun}Retried`, message: text });
    return { again: 'later' };
  }
  const conditions = [complete('False', reason, text), retrying('False', 'Failed', 'it is not tried again')];
  const end = { state: 'Failed', message: `Error: ${text}`, completionTime: rfc3339(now()) };
  await writer.write(end, conditions, { signal });
  count(context, writer.object, 'failed');
  await tell(context, writer.object, { type: 'Warning', reason: `${job.noun}Failed`, message: text });
  return DONE;
}

function logFailure({ log }: OperatorContext, { kind, metadata }: KubeObject, error: unknown): void {
  const { namespace, name } = metadata;
  log({ level: 'error', message: describe(error), kind, namespace, name, code: codeOf(error) });
}

function count({ tallies }: OperatorContext, object: KubeObject, result: 'succeeded' | 'failed'): void {
  const { startTime, completionTime }: JobStatus = readJobStatus(object);
  const labels = { kind: object.kind, namespace: object.metadata.namespace ?? '' };
  tallies.finished.add({ ...labels, result });
  if (startTime === undefined || completionTime === undefined) return;
  tallies.seconds.add({ ...labels, result }, Math.max(0, Date.parse(completionTime) - Date.parse(startTime)) / 1000);
}

const complete = (status: 'True' | 'False', reason: string, message: string): NewCondition => ({
  type: 'Complete',
  status,
  reason,
  message,
});

const retrying = (status: 'True' | 'False', reason: string, message: string): NewCondition => ({
  type: 'Retrying',
  status,
  reason,
  message,
});

/** Writes what callbacks say, one after the other; what has been overtaken meanwhile is left out. */
class Progress {
  readonly #context: OperatorContext;
  readonly #writer: StatusWriter;
  #next: Fields | undefined;
  #shown: unknown;
  #writing: Promise<void> = Promise.resolve();

  constructor(context: OperatorContext, writer: StatusWriter) {
    this.#context = context;
    this.#writer = writer;
    this.#shown = readJobStatus(writer.object).stage;
  }

  async write(fields: Fields): Promise<void> {
    await this.settled();
    this.#shown = fields['stage'] ?? this.#shown;
    await this.#writer.write(fields, [], { signal: this.#context.signal });
  }

  soon(fields: Fields): void {
    const { stage } = fields;
    if (stage !== undefined && stage === this.#shown && this.#next === undefined) return;
    this.#shown = stage ?? this.#shown;
    const idle = this.#next === undefined;
    this.#next = { ...this.#next, ...fields };
    if (idle) this.#writing = this.#writing.then(() => this.#flush());
  }

  settled(): Promise<void> {
    return this.#writing;
  }

  async #flush(): Promise<void> {
    const fields = this.#next ?? {};
    this.#next = undefined;
    try {
      await this.#writer.write(fields, [], { signal: this.#context.signal });
    } catch (error) {
      // The work itself is not worse for it; its end must be written, and says so if that fails.
      if (!EngineError.is(error, 'aborted')) logFailure(this.#context, this.#writer.object, error);
    }
  }
}
