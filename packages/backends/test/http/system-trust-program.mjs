/** Prints what comes of a request to the URL in its arguments, with the trust that the environment gives. */
import { openHttpClient } from '../../src/http/client.ts';

const client = await openHttpClient({ connections: 1, env: {} });
const codes = [];
for (let count = 0; count < 2; count += 1) {
  try {
    const { status, body } = await client.request({ method: 'GET', url: new URL(process.argv[2]), headers: {} });
    await body.discard();
    codes.push(status);
  } catch (error) {
    codes.push(error.code);
  }
}
await client[Symbol.asyncDispose]();
process.stdout.write(codes.join(' '));
