// Tries to read the repository it is told of and says as JSON how that ended, how long it took, and the most memory it
// needed. A program of its own, so that its memory can be limited and measured.
import {
  EngineError,
  backup,
  findNode,
  listKeys,
  listLocks,
  listSnapshots,
  localBackend,
  objects,
  openRepository,
  readFile,
  walk,
} from 'restic-engine';

const [, , path, password, what] = process.argv;
const started = performance.now();

const drain = async (items) => {
  let count = 0;
  for await (const _ of items) count += 1;
  return count;
};

async function readBlobs(repository) {
  const indexed = await repository.loadIndex();
  for await (const { tree } of listSnapshots(repository)) {
    for await (const { node } of walk(indexed, tree)) if (node.type === 'file') await drain(readFile(indexed, node));
  }
}

const actions = {
  open: () => undefined,
  keys: (repository) => listKeys(repository),
  locks: (repository) => drain(listLocks(repository)),
  snapshots: (repository) => drain(listSnapshots(repository)),
  read: readBlobs,
  backup: (repository) => backup(repository, { source: objects([{ path: 'a', content: 'a' }]) }),
  find: async (repository) => {
    const indexed = await repository.loadIndex();
    for await (const { tree } of listSnapshots(repository)) await findNode(indexed, tree, 'file');
  },
};

let code = 'success';
let message = '';
try {
  const repository = await openRepository({ backend: localBackend(path), password, workers: 0 });
  await actions[what](repository);
} catch (error) {
  code = EngineError.is(error) ? error.code : 'surprise';
  message = String(error?.stack ?? error);
}
const mebibytes = process.resourceUsage().maxRSS / 1024;
console.log(JSON.stringify({ code, message, ms: performance.now() - started, mebibytes }));
process.exit(0);
