/** How many requests commands need: over a distance each costs a round trip. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { backup, objects, openRepository } from 'restic-engine';
import { startHttpProxy } from '../../test/support/http-proxy.ts';
import { PASSWORD, type Program } from '../macro/programs.ts';
import type { Kind } from './kinds.ts';
import { initPlace, openPlace, runAt } from './places.ts';

const FILES = 10_000;
const FOLDERS = 50;

export interface RequestCount {
  readonly command: string;
  readonly requests: Readonly<Record<Program['name'], number>>;
}

/** Counts the requests of both programs at one repository of 10,000 files, which restic-engine has made. */
export async function countRequests(
  kind: Kind,
  both: readonly [Program, Program],
  folder: string,
): Promise<RequestCount[]> {
  await using server = await kind.start();
  const direct = await server.place('counted', both[0]);
  await initPlace(direct);
  await fill(direct);
  await using proxy = await startHttpProxy({ target: server.port });
  const target = join(folder, 'restored-counted');
  const commands: readonly (readonly [string, readonly string[]])[] = [
    ['snapshots', ['snapshots']],
    ['ls', ['ls', 'latest']],
    [`restore of ${FILES.toLocaleString('en-US')} files`, ['restore', 'latest', '--target', target]],
  ];
  const counts: RequestCount[] = [];
  for (const [command, words] of commands) {
    const requests = { 'restic-engine': 0, restic: 0 };
    for (const program of both) {
      const place = await server.place('counted', program, { port: proxy.port });
      const before = proxy.requests.length;
      await runAt(place, program, words);
      requests[program.name] = proxy.requests.length - before;
      await rm(target, { recursive: true, force: true });
    }
    counts.push({ command, requests });
  }
  return counts;
}

async function fill(place: Parameters<typeof openPlace>[0]): Promise<void> {
  await using backend = await openPlace(place);
  await using repository = await openRepository({ backend, password: PASSWORD });
  const entries = Array.from({ length: FILES }, (_, file) => ({
    path: `folder ${file % FOLDERS}/${file}`,
    content: `the content of file ${file} `.repeat(20),
  }));
  await backup(repository, { source: objects(entries) });
}
