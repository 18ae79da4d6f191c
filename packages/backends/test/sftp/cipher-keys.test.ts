import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { types } from 'node:util';
import { expect, it } from 'vitest';
import { prepareKeys } from '../../src/sftp/cipher-keys.ts';
import { loadSsh2 } from '../../src/sftp/ssh2.ts';

it('finds the keys of a connection where ssh2 has them', async () => {
  const { Client, Server, utils } = await loadSsh2();
  const server = new Server({ hostKeys: [utils.generateKeyPairSync('ed25519').private] }, (connection) => {
    connection.on('error', () => undefined);
    connection.on('authentication', (context) => context.accept());
  });
  const listener = createServer((socket) => server.injectSocket(socket)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const client = new Client();
  try {
    const { port } = listener.address() as AddressInfo;
    client.connect({ host: '127.0.0.1', port, username: 'u', algorithms: { cipher: ['aes128-gcm@openssh.com'] } });
    await once(client, 'ready');
    prepareKeys(client);
    const { _protocol } = client as unknown as { _protocol: Record<string, Record<string, unknown>> };
    expect(types.isKeyObject(_protocol['_cipher']?.['_encKey'])).toBe(true);
    expect(types.isKeyObject(_protocol['_decipher']?.['_decipherKey'])).toBe(true);
    // What is sent and received from now on is understood by both.
    const denied = new Promise((resolve) => client.subsys('sftp', resolve));
    expect(await denied).toBeInstanceOf(Error);
  } finally {
    client.end();
    listener.close();
  }
});

it('leaves alone what it does not know', () => {
  const other = { _protocol: { _cipher: null, _decipher: { _decipherKey: 'text' } } };
  for (const client of [{}, { _protocol: undefined }, other, { _protocol: { _cipher: { key: 'other' } } }]) {
    const before = structuredClone(client);
    prepareKeys(client);
    expect(client).toEqual(before);
  }
});
