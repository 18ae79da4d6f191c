import { describe, expect, it } from 'vitest';
import { createSealer, encodeConfig, EngineError, generateMasterKey, sha256 } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import { memoryBackend, withFaults } from '../../backends/src/index.ts';
import type { FaultCall } from '../../backends/src/index.ts';
import { addKey } from '../src/keys.ts';
import { createRepository, openRepository } from '../src/open.ts';
import type { InitOptions } from '../src/open.ts';
import { CHEAP, codeOf, initialized, names, opened, PASSWORD, POLYNOMIAL, text } from './harness.ts';

const create = (backend: Backend, options: Partial<InitOptions> = {}): ReturnType<typeof createRepository> =>
  createRepository({ backend, password: PASSWORD, kdf: CHEAP, chunkerPolynomial: POLYNOMIAL, ...options });

describe('making a repository', () => {
  it.each([1, 2] as const)('makes one of version %i that opens with its password', async (version) => {
    const backend = memoryBackend();
    const made = await create(backend, { version });
    await using repository = await opened(backend);
    expect(made).toEqual({ id: repository.config.id, keyId: repository.keyId, version, chunkerPolynomial: POLYNOMIAL });
    expect(repository.config).toMatchObject({ version, chunkerPolynomial: POLYNOMIAL });
    expect(await names(backend, 'key')).toEqual([made.keyId]);
  });

  it('gives every repository an id and a key of its own', async () => {
    const [one, other] = [await create(memoryBackend()), await create(memoryBackend())];
    expect(one.id).not.toBe(other.id);
    expect(one.keyId).not.toBe(other.keyId);
  });

  it('saves the config last', async () => {
    const calls: string[] = [];
    const note = ({ method, type }: FaultCall): void => void (method === 'save' && calls.push(String(type)));
    await create(withFaults({ onCall: note })(memoryBackend()));
    expect(calls).toEqual(['key', 'config']);
  });

  it('refuses a place with a config, a key or a snapshot', async () => {
    expect(await codeOf(create(await initialized()))).toBe('already-exists');
    for (const type of ['key', 'snapshot'] as const) {
      const backend = memoryBackend();
      await backend.save({ type, name: sha256(text('x')) }, [text('x')]);
      expect(await codeOf(create(backend))).toBe('already-exists');
    }
  });

  it('makes nothing when the place cannot be asked', async () => {
    const denied = new EngineError('denied', 'no');
    const backend = memoryBackend();
    const asked = withFaults({
      faults: [{ when: ({ method }) => method === 'stat', effect: { kind: 'fail-before', error: denied } }],
    })(backend);
    expect(await codeOf(create(asked))).toBe('denied');
    expect(await names(backend, 'key')).toEqual([]);
    expect(await codeOf(create(backend, { signal: AbortSignal.abort() }))).toBe('aborted');
    expect(await names(backend, 'key')).toEqual([]);
  });
});

describe('opening a repository', () => {
  it('rejects with what is wrong', async () => {
    const backend = await initialized();
    expect(await codeOf(openRepository({ backend: memoryBackend(), password: PASSWORD }))).toBe('no-repository');
    expect(await codeOf(openRepository({ backend, password: 'wrong' }))).toBe('wrong-password');
    expect(await codeOf(openRepository({ backend }))).toBe('bad-request');
    for (const packSize of [0, (4 << 20) - 1, (128 << 20) + 1, Number.NaN]) {
      expect(await codeOf(opened(backend, { packSize }))).toBe('bad-request');
    }
    for (const workers of [-1, 1.5, Number.NaN]) {
      await expect(opened(backend, { workers })).rejects.toThrow(RangeError);
    }
    expect(await codeOf(opened(backend, { signal: AbortSignal.abort() }))).toBe('aborted');
    expect(await codeOf(opened(backend, { masterKey: generateMasterKey() }))).toBe('corrupt');
  });

  it('passes on what the store says', async () => {
    const error = new EngineError('denied', 'no');
    const backend = await initialized();
    for (const type of ['config', 'key'] as const) {
      const fault = { when: (call: FaultCall) => call.type === type, effect: { kind: 'fail-before', error } } as const;
      await expect(opened(withFaults({ faults: [fault] })(backend))).rejects.toBe(error);
    }
  });

  it('rejects for a version that it does not know, and for a damaged config', async () => {
    const backend = await initialized();
    const { masterKey, config } = await opened(backend);
    const json = new TextDecoder().decode(encodeConfig(config)).replace('"version":2', '"version":3');
    await backend.save({ type: 'config', name: '' }, [createSealer(masterKey).seal(text(json))]);
    expect(await codeOf(opened(backend))).toBe('unsupported');
    await backend.save({ type: 'config', name: '' }, [new Uint8Array(100)]);
    await expect(opened(backend)).rejects.toMatchObject({ code: 'corrupt', message: /the config file is damaged/ });
  });

  it('opens with the master key, without reading any key', async () => {
    const backend = await initialized();
    const { masterKey } = await opened(backend);
    for (const id of await names(backend, 'key')) await backend.remove({ type: 'key', name: id });
    await using repository = await openRepository({ backend, masterKey, workers: 0 });
    expect(repository.keyId).toBeUndefined();
    expect(repository.config.chunkerPolynomial).toBe(POLYNOMIAL);
  });

  it('opens with each of several keys, and tries the hinted one first', async () => {
    const backend = await initialized();
    const repository = await opened(backend);
    const ids = new Map([[PASSWORD, repository.keyId]]);
    for (const password of ['two', 'three', 'four'])
      ids.set(password, await addKey(repository, { password, kdf: CHEAP }));
    for (const [password, id] of ids) {
      const read: string[] = [];
      const note = ({ method, type, file }: FaultCall): void =>
        void (method === 'load' && type === 'key' && read.push(file?.name ?? ''));
      const noted = withFaults({ onCall: note })(backend);
      expect((await opened(noted, { password, keyHint: id?.slice(0, 10) })).keyId).toBe(id);
      expect(read).toEqual([id]);
      // A hint may be wrong.
      expect((await opened(backend, { password, keyHint: 'ffffffffffff' })).keyId).toBe(id);
    }
  });

  it('is not locked out by a key that is damaged, and says so when no other opens', async () => {
    const backend = await initialized();
    const { keyId } = await opened(backend);
    for (const name of ['0'.repeat(64), 'f'.repeat(64)]) await backend.save({ type: 'key', name }, [text('{}')]);
    expect((await opened(backend)).keyId).toBe(keyId);
    expect((await opened(backend, { keyHint: '0000' })).keyId).toBe(keyId);
    expect(await codeOf(opened(backend, { password: 'wrong' }))).toBe('corrupt');
  });

  it('tries no more than twenty keys, but always the hinted one', async () => {
    const backend = await initialized();
    const repository = await opened(backend);
    const { keyId = '' } = repository;
    const file = await backend.load({ type: 'key', name: keyId });
    // Keys that this password does not open: the same file with another tag.
    const json = JSON.parse(new TextDecoder().decode(file)) as { data: string };
    for (let i = 0; i < 25; i++) {
      const other = text(JSON.stringify({ ...json, data: `${String.fromCharCode(65 + i)}${json.data.slice(1)}` }));
      await backend.save({ type: 'key', name: sha256(other) }, [other]);
    }
    const ids = (await names(backend, 'key')).toSorted();
    const before = ids.indexOf(keyId);
    let tried = 0;
    const note = ({ method, type }: FaultCall): void => void (method === 'load' && type === 'key' && tried++);
    const noted = withFaults({ onCall: note })(backend);
    expect(await codeOf(opened(noted, { password: 'wrong' }))).toBe('wrong-password');
    expect(tried).toBe(20);
    expect(await codeOf(opened(backend))).toBe(before < 20 ? 'nothing was thrown' : 'wrong-password');
    expect((await opened(backend, { keyHint: keyId })).keyId).toBe(keyId);
  });
});
