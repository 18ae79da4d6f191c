// What an embedding program looks like: it knows `restic-engine` and nothing else. Prints what it saw as JSON; the
// argument is a folder for a repository on disk.
import {
  backup,
  findNode,
  initRepository,
  localBackend,
  memoryBackend,
  objects,
  openRepository,
  readFile,
} from 'restic-engine';

const [, , folder] = process.argv;
const password = 'embedded';
const kdf = { N: 1024, r: 8, p: 1 };

const state = new Map(
  Array.from({ length: 1000 }, (_, i) => [`group-${i % 10}/object-${i}.json`, JSON.stringify({ i })]),
);

function* entries() {
  for (const [path, content] of state) yield { path, content };
}

/** Two backups with one object changed between them, and a look at that object. */
async function run(backend) {
  await initRepository({ backend, password, kdf });
  const repository = await openRepository({ backend, password });
  try {
    const first = await backup(repository, { source: objects(entries()) });
    state.set('group-7/object-777.json', '{"i":"changed"}');
    const second = await backup(repository, { source: objects(entries()) });
    const indexed = await repository.loadIndex();
    const node = await findNode(indexed, second.snapshot.tree, 'group-7/object-777.json');
    let content = '';
    for await (const chunk of readFile(indexed, node).pipeThrough(new TextDecoderStream())) content += chunk;
    const old = await findNode(indexed, first.snapshot.tree, 'group-7/object-777.json');
    return {
      first: first.summary.dataBlobs,
      second: second.summary.dataBlobs,
      trees: second.summary.treeBlobs,
      unmodified: second.summary.filesUnmodified,
      parent: second.parentId === first.snapshotId,
      content,
      old: await new Response(readFile(indexed, old)).text(),
    };
  } finally {
    await repository[Symbol.asyncDispose]();
  }
}

const inMemory = await run(memoryBackend());
state.set('group-7/object-777.json', JSON.stringify({ i: 777 }));
const onDisk = await run(localBackend(folder));
console.log(JSON.stringify({ inMemory, onDisk }));
