/** Comparing files of the target with the snapshot, spread over the workers. */
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { Flow } from './flow.ts';
import type { Piece, PlannedFile } from './plan.ts';
import type { RestoreRun } from './run.ts';
import { compareStretches } from './sink-fs/compare-task.ts';
import type { Compared, Stretch } from './sink-fs/compare-task.ts';
import { revive } from './sink-fs/session.ts';

/** Bytes to be read by one task, about. */
const BATCH_BYTES = 32 << 20;
const BATCH_STRETCHES = 256;

interface Wanted {
  readonly stretch: Stretch;
  readonly bytes: number;
  readonly settle: (compared: Compared) => void;
}

/** Which blobs of these pieces are in the target already: 1 for each one that is. */
export async function findMatches(run: RestoreRun, pieces: readonly Piece[]): Promise<Map<Piece, Uint8Array>> {
  const matches = new Map<Piece, Uint8Array>();
  await compareAll(run, wantedMatches(run, pieces, matches));
  return matches;
}

function* wantedMatches(run: RestoreRun, pieces: readonly Piece[], matches: Map<Piece, Uint8Array>): Generator<Wanted> {
  for (const piece of pieces) {
    const { file, from, to } = piece;
    const found = new Uint8Array(to - from);
    matches.set(piece, found);
    let at = 0;
    for (const { stretch, bytes } of stretches(run, file, from, to, file.offset, undefined)) {
      const start = at;
      at += stretch.ids.length;
      // A file that cannot be read has nothing in place: writing it will tell why.
      yield { stretch, bytes, settle: (compared) => found.set(compared.matches, start) };
    }
  }
}

/** Reads restored files again; reports those that are not what the snapshot says, counts the others. */
export async function verifyFiles(run: RestoreRun, files: readonly PlannedFile[]): Promise<void> {
  await compareAll(run, wantedChecks(run, files));
}

function* wantedChecks(run: RestoreRun, files: readonly PlannedFile[]): Generator<Wanted> {
  for (const file of files) {
    const blobs = file.node.content?.length ?? 0;
    const parts = [...stretches(run, file, 0, blobs, 0, file.size)];
    let open = parts.length;
    let problem: EngineError | undefined;
    for (const { stretch, bytes } of parts) {
      const settle = (compared: Compared): void => {
        problem ??= problemOf(compared, file);
        if (--open > 0) return;
        if (problem === undefined) run.report.verified();
        else run.report.failed(file.path, problem);
      };
      yield { stretch, bytes, settle };
    }
  }
}

function problemOf({ matches, error }: Compared, { path }: PlannedFile): EngineError | undefined {
  if (error !== undefined) return revive(error);
  const bad = matches.indexOf(0);
  if (bad < 0) return undefined;
  return new EngineError('corrupt', 'the restored file differs from the snapshot', { path: path.toWellFormed() });
}

/** The blobs `from`…`to - 1` of a file in runs of moderate length; at least one, for the size of an empty file. */
function* stretches(
  run: RestoreRun,
  file: PlannedFile,
  from: number,
  to: number,
  begin: number,
  size: number | undefined,
): Generator<Pick<Wanted, 'stretch' | 'bytes'>> {
  const { folder, path, node } = file;
  let offset = begin;
  let ids: Id[] = [];
  let lengths: number[] = [];
  let bytes = 0;
  for (let index = from; index < to; index++) {
    const id = node.content?.[index] ?? '';
    const length = run.indexed.plainLength('data', id) ?? 0;
    ids.push(id);
    lengths.push(length);
    bytes += length;
    if (bytes < BATCH_BYTES) continue;
    yield { stretch: { folder, path, name: node.name, offset, ids, lengths, size }, bytes };
    offset += bytes;
    [ids, lengths, bytes] = [[], [], 0];
  }
  if (ids.length > 0 || from === to)
    yield { stretch: { folder, path, name: node.name, offset, ids, lengths, size }, bytes };
}

async function compareAll(run: RestoreRun, wanted: Iterable<Wanted>): Promise<void> {
  const { pool } = run.indexed.repository;
  const flow = new Flow({ count: pool.size * 2, cost: Number.POSITIVE_INFINITY });
  let batch: Wanted[] = [];
  let bytes = 0;
  const send = async (): Promise<void> => {
    const sent = batch;
    [batch, bytes] = [[], 0];
    await flow.start(0, async () => {
      throwIfAborted(run.signal);
      const compared = await pool.run(compareStretches, {
        sink: run.sink,
        stretches: sent.map(({ stretch }) => stretch),
      });
      throwIfAborted(run.signal);
      for (const [index, result] of compared.entries()) sent[index]?.settle(result);
    });
  };
  for (const one of wanted) {
    batch.push(one);
    bytes += one.bytes;
    if (bytes >= BATCH_BYTES || batch.length >= BATCH_STRETCHES) await send();
    if (flow.failed) break;
  }
  if (batch.length > 0) await send();
  await flow.end();
}
