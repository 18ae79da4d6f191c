/** What is left when content is in place: links, devices, pipes, and the metadata of files and directories. */
import { linkSync, symlinkSync } from 'node:fs';
import { EngineError } from '@restic-engine/repo-format';
import type { Node } from '@restic-engine/repo-format';
import { task } from '@restic-engine/repository';
import type { Task } from '@restic-engine/repository';
import { loadNative } from '../../native/native.ts';
import { fsPath } from '../../source/fs/path.ts';
import type { Finish } from '../plan.ts';
import { createSpecialFile } from '../special.ts';
import type { Overwrite } from '../types.ts';
import { clearWay } from './files.ts';
import { Folders } from './folders.ts';
import { mayReplace } from './overwrite.ts';
import { metadataWriter, newReport, plainError, reporter, stopped } from './session.ts';
import type { SinkSpec, TaskReport } from './session.ts';

export interface FinishInput {
  readonly sink: SinkSpec;
  readonly overwrite: Overwrite;
  readonly finishes: readonly Finish[];
}

/** `skipped`: something was there that is not to be overwritten. */
export type Finished = 'done' | 'skipped' | 'failed';

export interface FinishResult extends TaskReport {
  /** One for each. */
  readonly outcomes: readonly Finished[];
}

/** Finishes entries in their order: a directory follows what it holds. */
export const finishEntries: Task<FinishInput, FinishResult> = task(import.meta.url, 'finishEntries', (input) => {
  const finisher = new Finisher(input);
  try {
    return { value: finisher.run() };
  } finally {
    finisher.close();
  }
});

class Finisher {
  readonly #input: FinishInput;
  readonly #report: TaskReport = newReport();
  readonly #folders: Folders;
  /** For the other end of links. */
  readonly #sources: Folders;

  constructor(input: FinishInput) {
    this.#input = input;
    this.#folders = new Folders(input.sink.target);
    this.#sources = new Folders(input.sink.target);
  }

  run(): FinishResult {
    const outcomes: Finished[] = [];
    for (const finish of this.#input.finishes) {
      if (stopped(this.#input.sink)) break;
      outcomes.push(this.#attempt(finish));
    }
    return { ...this.#report, outcomes };
  }

  close(): void {
    this.#folders.close();
    this.#sources.close();
  }

  #attempt(finish: Finish): Finished {
    const path = `${finish.folder}/${finish.node.name}`;
    try {
      return this.#finish(finish, path);
    } catch (error) {
      this.#report.errors.push({ path, error: plainError(error, path) });
      return 'failed';
    }
  }

  #finish(finish: Finish, path: string): Finished {
    const { folder, node } = finish;
    const entry = this.#folders.child(folder, node.name);
    if (finish.kind === 'special' || finish.kind === 'link') {
      if (!mayReplace(entry, node, this.#input.overwrite)) return 'skipped';
      clearWay(entry, this.#input.sink.recursive);
    }
    if (finish.kind === 'special') create(entry, node);
    if (finish.kind === 'link') {
      // Both names share the metadata, which the first one got.
      linkSync(fsPath(this.#sources.child(finish.toFolder, finish.toName)), fsPath(entry));
      return 'done';
    }
    const writer = metadataWriter(this.#input.sink);
    this.#folders.pinned(entry, (pinned) => writer.apply(entry, node, reporter(this.#report, path), pinned));
    return 'done';
  }
}

function create(entry: string, node: Node): void {
  switch (node.type) {
    case 'symlink':
      symlinkSync(fsPath(node.linkTarget ?? ''), fsPath(entry));
      return;
    case 'dev':
    case 'chardev':
    case 'fifo':
      createSpecialFile(entry, node, loadNative());
      return;
    default:
      throw new EngineError('unsupported', `entries of type ${node.type} cannot be restored`, {});
  }
}
