/** Brings the content of a window's files into place: one request for each range, the rest in workers. */
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Node } from '@restic-engine/repo-format';
import { findMatches } from './compare.ts';
import { Flow, Slots } from './flow.ts';
import { NO_PART, planJobs } from './jobs.ts';
import type { BlobUse, Job, Part } from './jobs.ts';
import type { Loader } from './loader.ts';
import type { Finish, Piece, PlannedFile } from './plan.ts';
import { rethrowFatal } from './run.ts';
import type { RestoreRun } from './run.ts';
import { prepareFile } from './sink-fs/prepare.ts';
import { Folders } from './sink-fs/folders.ts';
import { leanNode } from './sink-fs/lean-node.ts';
import { revive } from './sink-fs/session.ts';
import { writePlain, writeSealed } from './sink-fs/write-task.ts';
import type { BlobWork, FileWork, WriteInput, WriteResult } from './sink-fs/write-task.ts';

/** Bytes of ranges in flight, from the request to the last file written. */
const BYTES_IN_FLIGHT = 96 << 20;
/** Files without content that one task creates. */
const EMPTY_BATCH = 256;

/** A blob that was damaged, or not read, and where it is needed. */
interface Rescue {
  readonly use: BlobUse;
  readonly error: EngineError;
}

/** What is left to do for the files of a window when their content is there. */
export interface ContentResult {
  /** Their metadata. */
  readonly finishes: readonly Finish[];
  /** Files that were written. */
  readonly restored: readonly PlannedFile[];
}

/** Restores what `pieces` hold. Errors of files are reported; rejects only when the restore as a whole has failed. */
export async function restoreContent(
  run: RestoreRun,
  loader: Loader,
  pieces: readonly Piece[],
): Promise<ContentResult> {
  const content = new Content(run, loader, pieces);
  try {
    await content.restore();
  } finally {
    content.close();
  }
  return content.result;
}

class Content {
  readonly result: { readonly finishes: Finish[]; readonly restored: PlannedFile[] } = { finishes: [], restored: [] };
  readonly #run: RestoreRun;
  readonly #loader: Loader;
  readonly #pieces: readonly Piece[];
  readonly #folders: Folders;
  readonly #rescues: Rescue[] = [];
  #partOf: Int32Array = new Int32Array();

  constructor(run: RestoreRun, loader: Loader, pieces: readonly Piece[]) {
    this.#run = run;
    this.#loader = loader;
    this.#pieces = pieces;
    this.#folders = new Folders(run.sink.target);
  }

  async restore(): Promise<void> {
    const run = this.#run;
    const matches = await findMatches(
      run,
      this.#pieces.filter(({ file }) => file.opening === 'update'),
    );
    for (const [piece, found] of matches) {
      if (isKept(piece, found)) continue;
      piece.file.opening = 'create';
      matches.delete(piece);
    }
    const { jobs, partOf } = planJobs(run.indexed, this.#pieces, matches, (file, error) => this.#fail(file, error));
    this.#partOf = partOf;
    this.#settle();
    if (run.dryRun) return;
    await this.#runJobs(jobs);
    for (const rescue of this.#rescues) await this.#rescue(rescue);
  }

  close(): void {
    this.#folders.close();
  }

  /** Now it is known which files are in place already, and which need only their size or nothing but to exist. */
  #settle(): void {
    for (const { file, to } of this.#pieces) {
      if (to < (file.node.content?.length ?? 0)) continue;
      if (file.failed) {
        this.#run.report.expect(file.size);
        continue;
      }
      if (file.opening === 'keep' || this.#isInPlace(file)) {
        this.#run.report.skipped(file.path, file.size);
        this.#finishLater(file);
        file.opening = 'keep';
        continue;
      }
      this.#run.report.expect(file.size);
      this.#run.report.bytes(this.#run.dryRun ? file.size : file.matching);
      if (this.#run.dryRun) this.#done(file);
      this.#checkSize(file);
    }
  }

  #isInPlace(file: PlannedFile): boolean {
    return file.opening === 'update' && file.remaining === 0 && file.existingSize === file.offset;
  }

  /** The blobs decide, but whoever wrote this tree thought otherwise. */
  #checkSize(file: PlannedFile): void {
    if (file.offset === file.size) return;
    const context = { size: file.size, actual: file.offset };
    this.#run.report.failed(
      file.path,
      new EngineError('corrupt', 'the blobs of the file do not add up to its size', context),
    );
  }

  async #runJobs(jobs: readonly Job[]): Promise<void> {
    const { backend, pool } = this.#run.indexed.repository;
    const { connections } = backend.traits;
    const loads = new Slots(connections);
    const flow = new Flow({ count: connections + pool.size * 2, cost: BYTES_IN_FLIGHT });
    for (const batch of this.#withoutBlobs()) {
      await flow.start(0, () =>
        this.#write([], batch, (input) => pool.run(writePlain, { ...input, plain: new Uint8Array() })),
      );
    }
    for (const job of jobs) {
      if (flow.failed) break;
      await flow.start(job.length, () => this.#runJob(job, loads));
    }
    await flow.end();
  }

  /** Files that need no blob: empty ones, and existing ones that are too long. */
  *#withoutBlobs(): Generator<number[]> {
    let batch: number[] = [];
    for (const [index, { file, to }] of this.#pieces.entries()) {
      const complete = to === (file.node.content?.length ?? 0) && file.remaining === 0;
      if (!complete || file.failed || file.opening === 'keep') continue;
      if (file.prepared) this.#finishLater(file);
      else batch.push(index);
      if (batch.length < EMPTY_BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  async #runJob(job: Job, loads: Slots): Promise<void> {
    throwIfAborted(this.#run.signal);
    let sealed: Uint8Array<ArrayBuffer>;
    try {
      sealed = await loads.use(() => this.#loader.range(job));
    } catch (error) {
      rethrowFatal(error);
      if (!EngineError.is(error)) throw error;
      for (const use of job.parts.flatMap(({ uses }) => uses)) this.#rescues.push({ use, error });
      return;
    }
    const [only, ...more] = job.parts;
    if (only !== undefined && more.length === 0) return this.#runPart(only, sealed, job.offset);
    const flow = new Flow({ count: Number.POSITIVE_INFINITY, cost: Number.POSITIVE_INFINITY });
    for (const part of job.parts) {
      const from = part.offset - job.offset;
      await flow.start(0, () => this.#runPart(part, sealed.slice(from, from + part.length), part.offset));
    }
    await flow.end();
  }

  /** `sealed` is given away; it begins at `start` in the pack. */
  #runPart({ number, uses }: Part, sealed: Uint8Array<ArrayBuffer>, start: number): Promise<void> {
    const { codecSpec, pool } = this.#run.indexed.repository;
    const send = (input: WriteInput): Promise<WriteResult> =>
      pool.run(writeSealed, { ...input, codec: codecSpec, sealed, start }, { transfer: [sealed.buffer] });
    return this.#write(uses, this.#piecesOf(uses), send, number);
  }

  async #rescue({ use, error }: Rescue): Promise<void> {
    const { indexed } = this.#run;
    const pieces = this.#piecesOf([use]);
    const { id } = use.location;
    try {
      // A pack that is not there has been looked for; blobs that may lie elsewhere or were misread get another chance.
      if (error.code === 'not-found' && indexed.locateAll('data', id).length < 2) throw error;
      const plain = await this.#loader.blob(id);
      await this.#write([use], pieces, (input) => indexed.repository.pool.run(writePlain, { ...input, plain }));
    } catch (failure) {
      rethrowFatal(failure);
      for (const index of pieces) this.#failPiece(index, failure);
    }
  }

  #piecesOf(uses: readonly BlobUse[]): number[] {
    const pieces = new Set<number>();
    for (const { targets } of uses) {
      for (let at = 0; at < targets.length; at += 2) pieces.add(targets[at] ?? 0);
    }
    return [...pieces];
  }

  /** Has a task write `uses` to the files of `pieces`, and notes what came of it. The task of `part` may complete files alone. */
  async #write(
    uses: readonly BlobUse[],
    pieces: readonly number[],
    send: (input: WriteInput) => Promise<WriteResult>,
    part: number = NO_PART,
  ): Promise<void> {
    const files: FileWork[] = [];
    const places = new Map<number, number>();
    const sent: Piece[] = [];
    for (const index of pieces) {
      const piece = this.#pieces[index];
      const work = piece && this.#workOf(piece, this.#partOf[index] === part);
      if (piece === undefined || work === undefined) continue;
      places.set(index, files.length);
      files.push(work);
      sent.push(piece);
    }
    const blobs = uses.map(
      ({ location, targets }): BlobWork => ({ location: forOpening(location), targets: renumber(targets, places) }),
    );
    const result = await send({ sink: this.#run.sink, files, blobs });
    throwIfAborted(this.#run.signal);
    this.#settleWrite(uses, blobs, sent, files, result);
  }

  /** What a task is told of a file; undefined if there is no use in going on with it. */
  #workOf({ file, from, to }: Piece, alone: boolean): FileWork | undefined {
    if (file.failed) return undefined;
    const { folder, node, size, opening } = file;
    const holes = this.#run.sink.sparse && opening === 'create';
    const common = { folder, name: node.name, size, holes };
    const whole = alone && !file.prepared && from === 0 && to === (node.content?.length ?? 0);
    if (whole && opening !== 'keep') return { ...common, size: file.offset, opening, node: this.#lean(node) };
    try {
      if (!file.prepared) prepareFile(this.#run.sink, this.#folders, file);
      file.prepared = true;
    } catch (error) {
      this.#fail(file, error);
      return undefined;
    }
    return { ...common, opening: 'part' };
  }

  #settleWrite(
    uses: readonly BlobUse[],
    blobs: readonly BlobWork[],
    sent: readonly Piece[],
    files: readonly FileWork[],
    result: WriteResult,
  ): void {
    this.#run.report.absorb(result);
    for (const { file, error } of result.failed) {
      const piece = sent[file];
      if (piece !== undefined) this.#fail(piece.file, revive(error));
    }
    const damaged = new Map(result.damaged.map(({ blob, error }) => [blob, revive(error)]));
    for (const [index, use] of uses.entries()) {
      const error = damaged.get(index);
      if (error !== undefined) this.#rescues.push({ use, error });
      else this.#countWritten(use, blobs[index]?.targets ?? [], sent);
    }
    for (const [index, { file }] of sent.entries()) {
      if (file.failed) continue;
      file.prepared = true;
      if (file.remaining > 0) continue;
      if (files[index]?.node === undefined) this.#finishLater(file);
      this.#done(file);
    }
  }

  #countWritten({ length }: BlobUse, targets: readonly number[], sent: readonly Piece[]): void {
    for (let at = 0; at < targets.length; at += 2) {
      const file = sent[targets[at] ?? -1]?.file;
      if (file === undefined || file.failed) continue;
      file.remaining--;
      this.#run.report.bytes(length);
    }
  }

  #finishLater({ folder, node }: PlannedFile): void {
    if (!this.#run.dryRun) this.result.finishes.push({ kind: 'file', folder, node: this.#lean(node) });
  }

  #lean(node: Node): Node {
    return leanNode(node, this.#run.sink.ownershipByName);
  }

  #done(file: PlannedFile): void {
    this.#run.report.done(file.path, file.existingSize === undefined ? 'restored' : 'updated', file.size);
    this.result.restored.push(file);
  }

  #failPiece(index: number, error: unknown): void {
    const piece = this.#pieces[index];
    if (piece !== undefined) this.#fail(piece.file, error);
  }

  /** Once for each file. */
  #fail(file: PlannedFile, error: unknown): void {
    if (!file.failed) this.#run.report.failed(file.path, error);
    file.failed = true;
  }
}

/** May what was found in place stay? Not in a file with further names, unless it is the whole file. */
function isKept({ file, from, to }: Piece, found: Uint8Array): boolean {
  if (!file.shared) return true;
  const whole = from === 0 && to === (file.node.content?.length ?? 0) && file.existingSize === file.size;
  return whole && !found.includes(0);
}

/** Only what opening needs. */
function forOpening({ id, type, offset, length, uncompressedLength }: BlobWork['location']): BlobWork['location'] {
  return { id, type, offset, length, uncompressedLength };
}

/** Targets of pieces as targets of a task's files; those of files that are not sent are left out. */
function renumber(targets: readonly number[], places: ReadonlyMap<number, number>): number[] {
  const renumbered: number[] = [];
  for (let at = 0; at < targets.length; at += 2) {
    const place = places.get(targets[at] ?? -1);
    if (place !== undefined) renumbered.push(place, targets[at + 1] ?? 0);
  }
  return renumbered;
}
