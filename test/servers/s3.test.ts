import { describe, it } from 'vitest';
import { describeBackend } from '../../packages/backends/src/conformance/index.ts';
import { s3Backend } from '../../packages/backends/src/s3/open.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { startCeph } from './ceph.ts';
import { showLogsOfFailures } from './logs.ts';

await describeWithPeer('ceph', 'S3', async (peer) => {
  showLogsOfFailures();
  const ceph = await startCeph(peer);
  let n = 0;
  describeBackend({ describe, it }, 's3', async () => {
    const b = await s3Backend({ endpoint: `http://127.0.0.1:${ceph.port}`, bucket: `bucket${++n}`, credentials: { accessKeyId: ceph.keys.AWS_ACCESS_KEY_ID, secretAccessKey: ceph.keys.AWS_SECRET_ACCESS_KEY } });
    await b.create();
    return b;
  });
});
