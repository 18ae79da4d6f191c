import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createBlobCodec } from '../src/blob.ts';
import { decodeConfig, type Config } from '../src/config.ts';
import { encodeMasterKey, type MasterKey } from '../src/crypto/master-key.ts';
import { sha256 } from '../src/crypto/node-primitives.ts';
import { createSealer } from '../src/crypto/seal.ts';
import { decodeIndex } from '../src/index-file/index-file.ts';
import { openKeyFile } from '../src/keys/key-file.ts';
import type { PackEntry } from '../src/pack/entry.ts';
import { readPackHeader } from '../src/pack/header.ts';
import { openUnpacked } from '../src/unpacked.ts';
import { codeOf } from './errors-of.ts';

interface Opened {
  readonly key: MasterKey;
  readonly config: Config;
  readonly sealer: ReturnType<typeof createSealer>;
  /** The JSON of all files of a type. */
  unpacked(folder: string): Promise<Uint8Array[]>;
  files(folder: string): Promise<{ name: string; bytes: Uint8Array }[]>;
}

/** A repository that restic made; see fixtures/README.md. */
async function open(name: string, password = 'geheim'): Promise<Opened> {
  const root = new URL(`fixtures/${name}/`, import.meta.url);
  const files: Opened['files'] = async (folder) => {
    const found = await readdir(new URL(folder, root), { recursive: true, withFileTypes: true });
    return Promise.all(
      found
        .filter((entry) => entry.isFile())
        .map(async (entry) => ({ name: entry.name, bytes: await readFile(`${entry.parentPath}/${entry.name}`) })),
    );
  };
  const [keyFile] = await files('keys');
  const key = await openKeyFile(keyFile!.bytes, new TextEncoder().encode(password));
  const sealer = createSealer(key);
  const config = decodeConfig(sealer.open(await readFile(new URL('config', root))));
  const unpacked: Opened['unpacked'] = async (folder) =>
    (await files(folder)).map(({ bytes }) => openUnpacked(bytes, config.version, sealer));
  return { key, config, sealer, files, unpacked };
}

/** Every blob that the index files name, by pack. */
async function indexOf(repository: Opened): Promise<Map<string, PackEntry[]>> {
  const packs = new Map<string, PackEntry[]>();
  for (const json of await repository.unpacked('index')) {
    let blobs: PackEntry[] = [];
    decodeIndex(json, repository.config.version, {
      pack: (id) => void packs.set(id, (blobs = [])),
      blob: (type, id, offset, length, uncompressedLength) =>
        void blobs.push({ id, type, offset, length, uncompressedLength }),
    });
  }
  return packs;
}

describe('a repository of restic from 2015', () => {
  it('opens', async () => {
    const { key, config } = await open('restic-v1');
    expect(new TextDecoder().decode(encodeMasterKey(key))).toBe(
      '{"mac":{"k":"TbkpCBdNYAvAwb+64r8VGw==","r":"Q5V1CnAvBQREgJAOQD40Bw=="},"encrypt":"SjCkTpms+XOUJR5LSsy2G+uO9ngG7H0L+IVwPV4u70A="}',
    );
    expect(config).toEqual({
      version: 1,
      id: '76772da2eb51454a1286eb6c383fdb4be641d34ad42aa1b3b186fb7841ccc4d8',
      chunkerPolynomial: '249971770ab0ff',
    });
  });

  it('does not open with another password', async () => {
    expect(await codeOf(() => open('restic-v1', 'Geheim'))).toBe('wrong-password');
  });
});

describe.each([
  ['restic-v1', 4, { raw: 10, compressed: 0 }],
  ['restic-v2', 3, { raw: 1, compressed: 9 }],
])('in the repository %s', (name, snapshots, counts) => {
  it('every snapshot names its tree', async () => {
    const repository = await open(name);
    const found = await repository.unpacked('snapshots');
    expect(found).toHaveLength(snapshots);
    const known = new Set([...(await indexOf(repository)).values()].flat().map(({ type, id }) => `${type} ${id}`));
    for (const json of found) {
      const { tree }: { tree: string } = JSON.parse(new TextDecoder().decode(json));
      expect(known).toContain(`tree ${tree}`);
    }
  });

  it('headers and index agree, and every blob has the content its id names', async () => {
    const repository = await open(name);
    const { sealer, config } = repository;
    const index = await indexOf(repository);
    const codec = createBlobCodec({ sealer, version: config.version, compression: 'auto', verify: true });
    const seen = { raw: 0, compressed: 0 };
    for (const { name: id, bytes } of await repository.files('data')) {
      expect(sha256(bytes)).toBe(id);
      const read = async ({ offset, length }: { offset: number; length: number }) =>
        bytes.subarray(offset, offset + length);
      const entries = await readPackHeader(read, bytes.length, sealer, config.version);
      const byOffset = (index.get(id) ?? []).toSorted((a, b) => a.offset - b.offset);
      expect(byOffset).toEqual(entries);
      for (const entry of entries) {
        const plain = codec.open(entry, bytes.subarray(entry.offset, entry.offset + entry.length));
        expect(codec.seal(entry.type, plain).id).toBe(entry.id);
        seen[entry.uncompressedLength === 0 ? 'raw' : 'compressed']++;
      }
    }
    expect(seen).toEqual(counts);
  });
});
