// Does something to the repository it is told of and says as JSON how that ended, how long it took, and the most memory it
// needed. A program of its own, so that its memory can be limited and measured.
import {
  EngineError,
  backup,
  check,
  copy,
  findNode,
  initRepository,
  listKeys,
  listLocks,
  listSnapshots,
  localBackend,
  memoryBackend,
  objects,
  openRepository,
  prune,
  readFile,
  recover,
  repairIndex,
  repairPacks,
  repairSnapshots,
  rewrite,
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

async function damageIn(repository, readData) {
  const { errors } = await check(repository, { readData });
  if (errors.length > 0) throw new EngineError('corrupt', errors.map(({ message }) => message).join('\n'));
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
  check: (repository) => damageIn(repository, false),
  'check-data': (repository) => damageIn(repository, true),
  prune: (repository) => prune(repository, { maxUnused: 0 }),
  'repair-index': (repository) => repairIndex(repository),
  'repair-index-all': (repository) => repairIndex(repository, { readAllPacks: true }),
  'repair-packs': async (repository) => {
    const packs = await Array.fromAsync(repository.list('data'), ({ name }) => name);
    await repairPacks(repository, packs, { keepCopy: async () => undefined });
  },
  'repair-snapshots': (repository) => repairSnapshots(repository, { forget: true }),
  recover: (repository) => recover(repository),
  rewrite: (repository) => rewrite(repository, { exclude: ['nothing'], newHost: 'other' }),
  copy: async (repository) => {
    const target = memoryBackend();
    await initRepository({ backend: target, password, kdf: { N: 16, r: 1, p: 1 } });
    await copy(repository, await openRepository({ backend: target, password, workers: 0 }));
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
