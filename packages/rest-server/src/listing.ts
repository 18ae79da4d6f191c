/** Lists of files as JSON (restic manual, "REST Backend"): names in version 1, names and sizes in version 2. */
import type { ListedFile } from '@restic-engine/repo-format';
import { resumed } from './message.ts';
import type { Answer } from './message.ts';

const VERSION_1 = 'application/vnd.x.restic.rest.v1';
const VERSION_2 = 'application/vnd.x.restic.rest.v2';

/** Characters sent at once. */
const BATCH = 64 * 1024;

/**
 * The answer for a list. Only a client that accepts exactly version 2 gets it, as with restic's server. The first names
 * are taken before the status is sent, so that a store that fails at once is told with a status.
 */
export async function answerList(files: AsyncIterable<ListedFile>, accept: string | undefined): Promise<Answer> {
  const type = accept === VERSION_2 ? VERSION_2 : VERSION_1;
  const text = render(files, type === VERSION_2);
  const body = resumed(await text.next(), text);
  return { status: 200, headers: { 'content-type': type }, body };
}

async function* render(files: AsyncIterable<ListedFile>, sizes: boolean): AsyncGenerator<Uint8Array> {
  let text = '[';
  let comma = '';
  for await (const { name, size } of files) {
    text += sizes ? `${comma}{"name":"${name}","size":${size}}` : `${comma}"${name}"`;
    comma = ',';
    if (text.length < BATCH) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(`${text}]`);
}
