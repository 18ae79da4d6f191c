// Makes, opens and lists a local repository in the folder it is given, or only opens a place elsewhere.
import { initRepository, listSnapshots, openBackend, openRepository } from 'restic-engine';

const [location] = process.argv.slice(2);
const backend = await openBackend(location);
if (location.includes(':')) {
  // Nobody listens there: it is enough that the client has been loaded.
  await backend.stat({ type: 'config', name: '' }).catch(() => undefined);
} else {
  await initRepository({ backend, password: 'start', kdf: { N: 1024, r: 8, p: 1 } });
  const repository = await openRepository({ backend, password: 'start' });
  for await (const _ of listSnapshots(repository)) throw new Error('a new repository has no snapshots');
  await repository[Symbol.asyncDispose]();
}
await backend[Symbol.asyncDispose]();
