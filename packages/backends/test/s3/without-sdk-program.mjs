// Opens an S3 location where the AWS SDK cannot be found.
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier,
      specifier.startsWith('@aws-sdk/') ? { ...context, parentURL: 'file:///nowhere/index.js' } : context,
    ),
});
const { openBackend } = await import('@restic-engine/backends');
const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
await openBackend('s3:http://127.0.0.1:1/bucket', { env }).catch((error) => console.log(JSON.stringify(error)));
