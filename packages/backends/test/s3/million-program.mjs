// Lists the packs of a bucket and says how much memory that took; in a process of its own, because memory is measured by
// process.
import { s3Backend } from '@restic-engine/backends';

const [, , endpoint, bucket] = process.argv;
const backend = await s3Backend({ endpoint, bucket, credentials: 'anonymous' });
let count = 0;
let bytes = 0;
for await (const { size } of backend.list('data')) {
  count += 1;
  bytes += size;
}
await backend[Symbol.asyncDispose]();
console.log(JSON.stringify({ count, bytes, peakKiB: process.resourceUsage().maxRSS }));
