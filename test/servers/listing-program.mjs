// Lists a place and says how much memory that took; run in a process of its own, because memory is measured by process.
import { openBackend, withRetry, wrap } from 'restic-engine';

const [, , location] = process.argv;
const backend = wrap(await openBackend(location), withRetry());
let count = 0;
let bytes = 0;
let last = '';
for await (const { name, size } of backend.list('data')) {
  count += 1;
  bytes += size;
  last = name;
}
await backend[Symbol.asyncDispose]();
console.log(JSON.stringify({ count, bytes, last, peakKiB: process.resourceUsage().maxRSS }));
