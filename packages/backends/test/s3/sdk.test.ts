import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('without-sdk-program.mjs', import.meta.url));

it('says what to install where the AWS SDK is missing', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@restic-engine/source', PROGRAM]);
  expect(JSON.parse(stdout)).toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('npm install @aws-sdk/client-s3'),
  });
});
