/**
 * A backup and its restore, from beginning to end, in a temporary folder:
 *
 *     npx -y pnpm@10.34.9 demo            this checkout with all its installed packages
 *     npx -y pnpm@10.34.9 demo FOLDER     another folder
 *
 * Copies the folder, backs the copy up, changes some files, backs it up again, shows what differs between the two
 * snapshots, restores the second one and compares every entry with the original. Exits with 1 if anything differs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  backup,
  files,
  findTree,
  initRepository,
  listSnapshots,
  localBackend,
  openRepository,
  restore,
  walk,
} from 'restic-engine';
import type { BackupResult, ExtendedAttribute, Id, IndexedRepository, Node, Repository } from 'restic-engine';
import { changeTree, type Change } from './changes.ts';
import { count, mib, ProgressLine, seconds, shortened, speed, tell } from './terminal.ts';
import { compareTrees, copyTree } from './tree.ts';

const PASSWORD = 'correct horse battery staple';

/** Where everything happens; made and removed by the demo. */
interface Place {
  readonly data: string;
  readonly repository: string;
  readonly restored: string;
}

async function demo(source: string, place: Place, signal: AbortSignal): Promise<boolean> {
  const copying = new ProgressLine('copy');
  let copied = 0;
  await copyTree(source, place.data, signal, () => copying.show(0, undefined, `${++copied} entries`));
  copying.end();
  tell('data', `a copy of ${source}`);

  const backend = localBackend(place.repository);
  const { id, chunkerPolynomial } = await initRepository({ backend, password: PASSWORD, signal });
  tell('repository', id.slice(0, 10), `in ${place.repository}`, `chunker polynomial ${chunkerPolynomial}`);

  const repository = await openRepository({ backend, password: PASSWORD, signal });
  try {
    const first = await backUp(repository, 'first backup', place.data, signal);
    const changes = await changeTree(place.data, signal);
    const second = await backUp(repository, 'second backup', place.data, signal);
    await tellSnapshots(repository, signal);
    const isDifferenceRight = await tellDifference(repository, [first, second], place.data, changes, signal);
    const isRestoredRight = await restoreAndCompare(repository, second, place, signal);
    return isDifferenceRight && isRestoredRight && [first, second].every(({ errors }) => errors.length === 0);
  } finally {
    await repository[Symbol.asyncDispose]();
  }
}

async function backUp(
  repository: Repository,
  title: string,
  folder: string,
  signal: AbortSignal,
): Promise<BackupResult> {
  const line = new ProgressLine(title);
  const content: NewContent = { plain: 0, stored: 0 };
  const result = await backup(repository, {
    source: files({ targets: [folder] }),
    tags: ['demo'],
    signal,
    onItem: ({ dataSize, dataSizeInRepo }) => {
      content.plain += dataSize;
      content.stored += dataSizeInRepo;
    },
    onProgress: ({ bytesDone, bytesTotal, filesDone, currentFiles }) => {
      const details = `${count(filesDone, 'file')}, ${mib(bytesDone)}  ${currentFiles.at(0)?.slice(folder.length + 1) ?? ''}`;
      line.show(bytesDone, bytesTotal, details);
    },
  });
  line.end();
  const { summary, durationMs, snapshotId, errors } = result;
  const bytes = summary.totalBytesProcessed;
  tell(
    title,
    `snapshot ${snapshotId?.slice(0, 8)}`,
    `${count(summary.totalFilesProcessed, 'file')} with ${mib(bytes)}`,
    `${seconds(durationMs)} (${speed(bytes, durationMs)})`,
  );
  const fate = `${summary.filesNew} new, ${summary.filesChanged} changed, ${summary.filesUnmodified} unchanged`;
  tell('', `files: ${fate}`);
  tell(
    '',
    `new content: ${mib(content.plain)} of ${mib(bytes)}`,
    `stored as ${mib(content.stored)}`,
    smaller(bytes, content),
  );
  for (const { path, error } of errors) tell('', `error: ${path}: ${error.message}`);
  return result;
}

/** New content of a backup in bytes, plain and as stored. */
interface NewContent {
  plain: number;
  stored: number;
}

/** How much smaller than the data is what had to be stored, and why. */
function smaller(bytes: number, { plain, stored }: NewContent): string {
  if (stored === 0) return 'all content was there already';
  const [total, known, packed] = [bytes / stored, bytes / plain, plain / stored];
  return `${total.toFixed(1)} times smaller (deduplication ${known.toFixed(1)} × compression ${packed.toFixed(1)})`;
}

async function tellSnapshots(repository: Repository, signal: AbortSignal): Promise<void> {
  const snapshots = await Array.fromAsync(listSnapshots(repository, { signal }));
  snapshots.sort((a, b) => (a.time < b.time ? -1 : 1));
  for (const [i, { id, time, hostname, tags, summary }] of snapshots.entries()) {
    const details = [`${id.slice(0, 8)}  ${time.slice(0, 19)}  ${hostname}  ${tags?.join(' ')}`];
    tell(i === 0 ? 'snapshots' : '', ...details, mib(summary?.totalBytesProcessed ?? 0));
  }
}

/** Everything below the folder that was backed up, by path relative to it. */
async function nodesOf(
  indexed: IndexedRepository,
  tree: Id,
  folder: string,
  signal: AbortSignal,
): Promise<Map<string, Node>> {
  const nodes = new Map<string, Node>();
  const top = await findTree(indexed, tree, folder, { signal });
  for await (const { path, node } of walk(indexed, top, { signal })) nodes.set(path.slice(1), node);
  return nodes;
}

async function tellDifference(
  repository: Repository,
  [first, second]: readonly [BackupResult, BackupResult],
  folder: string,
  expected: readonly Change[],
  signal: AbortSignal,
): Promise<boolean> {
  const indexed = await repository.loadIndex({ signal });
  const before = await nodesOf(indexed, first.snapshot.tree, folder, signal);
  const after = await nodesOf(indexed, second.snapshot.tree, folder, signal);
  const found: string[] = [];
  for (const [path, node] of before) {
    const now = after.get(path);
    if (now === undefined) found.push(`- ${path}`);
    else if (node.type !== 'dir' && differs(node, now)) found.push(`M ${path}`);
  }
  for (const path of after.keys()) if (!before.has(path)) found.push(`+ ${path}`);
  const wanted = new Map(expected.map(({ kind, path, about }) => [`${kind} ${path}`, about]));
  for (const [i, line] of found.sort(byPath).entries()) {
    tell(i === 0 ? 'difference' : '', `${shortened(line)}  (${wanted.get(line) ?? 'NOT EXPECTED'})`);
  }
  const missing = [...wanted.keys()].filter((line) => !found.includes(line));
  for (const line of missing) tell('', `NOT FOUND: ${line}`);
  return missing.length === 0 && found.length === wanted.size;
}

function differs(a: Node, b: Node): boolean {
  return a.mtime !== b.mtime || a.mode !== b.mode || a.type !== b.type || a.content?.join() !== b.content?.join();
}

function byPath(a: string, b: string): number {
  return a.slice(2) < b.slice(2) ? -1 : 1;
}

async function restoreAndCompare(
  repository: Repository,
  { snapshotId, snapshot, problems }: BackupResult,
  place: Place,
  signal: AbortSignal,
): Promise<boolean> {
  const restoring = new ProgressLine('restore');
  const result = await restore(repository, {
    snapshot: `${snapshotId}:${place.data}`,
    target: place.restored,
    signal,
    onProgress: ({ bytesDone, bytesTotal, filesDone }) =>
      restoring.show(bytesDone, bytesTotal, `${count(filesDone, 'file')}, ${mib(bytesDone)}`),
  });
  restoring.end();
  const { bytesRestored, durationMs, errors } = result;
  tell(
    'restore',
    mib(bytesRestored),
    `${seconds(durationMs)} (${speed(bytesRestored, durationMs)})`,
    count(errors.length, 'error'),
  );
  for (const { path, error } of errors) tell('', `error: ${path}: ${error.message}`);
  for (const problem of new Set([...problems, ...result.problems])) tell('', `note: ${problem}`);

  const comparing = new ProgressLine('compare');
  let compared = 0;
  const { entries, bytes, differences } = await compareTrees(place.data, place.restored, signal, () =>
    comparing.show(++compared, result.filesTotal, `${compared} entries`),
  );
  comparing.end();
  tell(
    'compare',
    `${entries.toLocaleString('en-US')} entries with ${mib(bytes)}: content, type, mode, owner, time to the nanosecond, link target`,
  );
  for (const difference of differences.slice(0, 20)) tell('', `DIFFERENT: ${difference}`);
  const isAllThere = await backUpRestored(repository, snapshot.tree, place, signal);
  return errors.length === 0 && differences.length === 0 && isAllThere;
}

/** What was restored, backed up again, must need no new data and have the same extended attributes. */
async function backUpRestored(repository: Repository, tree: Id, place: Place, signal: AbortSignal): Promise<boolean> {
  const { snapshot, summary } = await backup(repository, {
    source: files({ targets: [place.restored] }),
    tags: ['demo'],
    signal,
  });
  const indexed = await repository.loadIndex({ signal });
  const original = await nodesOf(indexed, tree, place.data, signal);
  const again = await nodesOf(indexed, snapshot.tree, place.restored, signal);
  let attributes = 0;
  const lost: string[] = [];
  for (const [path, node] of original) {
    attributes += node.extendedAttributes?.length ?? 0;
    if (describe(node.extendedAttributes) !== describe(again.get(path)?.extendedAttributes)) lost.push(path);
  }
  tell(
    'back up again',
    `what was restored: ${count(summary.dataBlobs, 'new blob')} of data`,
    `${count(attributes, 'extended attribute')} compared`,
  );
  for (const path of lost.slice(0, 20)) tell('', `DIFFERENT: ${path}: extended attributes`);
  return lost.length === 0 && summary.dataBlobs === 0;
}

function describe(attributes: readonly ExtendedAttribute[] = []): string {
  return attributes
    .map(({ name, value }) => `${name}=${value === null ? '' : Buffer.from(value).toString('hex')}`)
    .sort()
    .join();
}

async function main(): Promise<number> {
  const source = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
  const folder = mkdtempSync(join(tmpdir(), 'restic-engine-demo-'));
  const stop = new AbortController();
  const onSignal = (): void => stop.abort(new Error('interrupted'));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  // A pipe that nobody reads any more.
  process.stdout.on('error', onSignal);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  try {
    const place = {
      data: join(folder, 'data'),
      repository: join(folder, 'repository'),
      restored: join(folder, 'restored'),
    };
    const isRight = await demo(source, place, stop.signal);
    console.log(isRight ? '\nEverything is as it was.' : '\nSOMETHING IS DIFFERENT.');
    return isRight ? 0 : 1;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    console.error('\ninterrupted');
    return 130;
  }
}

process.exitCode = await main();
