// A server with TLS in a process of its own, which answers an upload as soon as it has all of it. Prints its port.
// An answer is the number of bytes, and that of all connections so far.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

let connections = 0;
const pem = readFileSync(new URL('fixtures/server.pem', import.meta.url));
const server = createServer({ cert: pem, key: pem }, (request, response) => {
  let bytes = 0;
  request.on('data', (chunk) => (bytes += chunk.length));
  request.on('end', () => response.end(`${bytes} ${connections}`));
});
server.on('secureConnection', () => (connections += 1));
server.listen(0, '127.0.0.1', () => process.stdout.write(String(server.address().port)));
