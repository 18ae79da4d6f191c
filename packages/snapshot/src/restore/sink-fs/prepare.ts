/** Making the files that several tasks write to. */
import { closeSync } from 'node:fs';
import type { PlannedFile } from '../plan.ts';
import { createFile, openForUpdate, setSizeOrClose } from './files.ts';
import type { Folders } from './folders.ts';
import type { SinkSpec } from './session.ts';

/** Makes `file` exist, in its final size. Throws the system's error. */
export function prepareFile(sink: SinkSpec, folders: Folders, file: PlannedFile): void {
  const path = folders.child(file.folder, file.node.name);
  const descriptor = file.opening === 'update' ? openForUpdate(path) : createFile(path, sink.recursive);
  setSizeOrClose(descriptor, file.size);
  closeSync(descriptor);
}
