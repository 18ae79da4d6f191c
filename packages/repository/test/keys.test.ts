import { describe, expect, it } from 'vitest';
import { EngineError } from '@restic-engine/repo-format';
import { withFaults } from '../../backends/src/index.ts';
import type { FaultCall } from '../../backends/src/index.ts';
import { addKey, changePassword, listKeys, removeKey } from '../src/keys.ts';
import { CHEAP, codeOf, idOf, initialized, makeRepository, names, opened, PASSWORD } from './harness.ts';

const isKey =
  (method: FaultCall['method']) =>
  (call: FaultCall): boolean =>
    call.method === method && call.type === 'key';

describe('adding a key', () => {
  it('opens the repository with the new password, and lists both', async () => {
    const { repository, backend } = await makeRepository();
    const id = await addKey(repository, { password: 'second', kdf: CHEAP, username: 'ann', hostname: 'desk' });
    expect((await opened(backend, { password: 'second' })).keyId).toBe(id);
    expect((await opened(backend)).keyId).toBe(repository.keyId);
    const infos = await listKeys(repository);
    expect(infos).toHaveLength(2);
    expect(infos.find((info) => info.id === id)).toMatchObject({ current: false, username: 'ann', hostname: 'desk' });
    expect(infos.find((info) => info.current)?.id).toBe(repository.keyId);
    expect(await names(backend, 'lock')).toEqual([]);
  });

  it.each([
    ['cannot be saved', isKey('save'), 'fail-after'],
    ['cannot be read back', isKey('load'), 'fail-before'],
  ] as const)('leaves no key behind that %s', async (_name, when, kind) => {
    const backend = await initialized();
    const masterKey = (await opened(backend)).masterKey;
    const full = new EngineError('no-space', 'full');
    const repository = await opened(withFaults({ faults: [{ when, effect: { kind, error: full } }] })(backend), {
      masterKey,
    });
    await expect(addKey(repository, { password: 'second', kdf: CHEAP })).rejects.toBe(full);
    expect(await names(backend, 'key')).toHaveLength(1);
    expect(await names(backend, 'lock')).toEqual([]);
  });

  it('rejects with what went wrong first when tidying up fails too', async () => {
    const backend = await initialized();
    const masterKey = (await opened(backend)).masterKey;
    const faults = [
      { when: isKey('load'), effect: { kind: 'flip', offset: 9 } },
      { when: isKey('remove'), effect: { kind: 'fail-before' } },
    ] as const;
    const repository = await opened(withFaults({ faults })(backend), { masterKey });
    expect(await codeOf(addKey(repository, { password: 'second', kdf: CHEAP }))).toBe('corrupt');
  });

  it('refuses costs that nobody could open', async () => {
    const { repository } = await makeRepository();
    expect(await codeOf(addKey(repository, { password: 'x', kdf: { N: 1000, r: 8, p: 1 } }))).toBe('bad-request');
  });
});

describe('removing a key', () => {
  it('removes any but the one in use', async () => {
    const { repository, backend } = await makeRepository();
    const id = await addKey(repository, { password: 'second', kdf: CHEAP });
    expect(await codeOf(removeKey(repository, repository.keyId ?? ''))).toBe('bad-request');
    expect(await codeOf(removeKey(repository, idOf(1)))).toBe('not-found');
    await removeKey(repository, id);
    expect(await codeOf(opened(backend, { password: 'second' }))).toBe('wrong-password');
    expect(await names(backend, 'lock')).toEqual([]);
  });

  it('waits for no other: it needs the repository for itself', async () => {
    const { repository, backend } = await makeRepository();
    const id = await addKey(repository, { password: 'second', kdf: CHEAP });
    await using _lock = await (await opened(backend)).lock();
    expect(await codeOf(removeKey(repository, id))).toBe('locked');
    expect(await names(backend, 'key')).toHaveLength(2);
  });
});

describe('changing the password', () => {
  it('leaves one key, with the new password, however often it is done', async () => {
    const { repository, backend } = await makeRepository();
    for (const password of ['second', 'third']) {
      const id = await changePassword(repository, { password, kdf: CHEAP });
      expect(await names(backend, 'key')).toEqual([id]);
      expect(repository.keyId).toBe(id);
      expect((await listKeys(repository)).map(({ current }) => current)).toEqual([true]);
      expect((await opened(backend, { password })).keyId).toBe(id);
    }
    for (const old of [PASSWORD, 'second'])
      expect(await codeOf(opened(backend, { password: old }))).toBe('wrong-password');
    expect(await names(backend, 'lock')).toEqual([]);
  });

  it('keeps the old key when the new one cannot be read back', async () => {
    const backend = await initialized();
    const opening = (await opened(backend)).keyId;
    const fault = {
      when: (call: FaultCall) => isKey('load')(call) && call.file?.name !== opening,
      effect: { kind: 'flip', offset: 9 },
    } as const;
    const repository = await opened(withFaults({ faults: [fault] })(backend));
    expect(await codeOf(changePassword(repository, { password: 'second', kdf: CHEAP }))).toBe('corrupt');
    expect(await names(backend, 'key')).toEqual([opening]);
    expect(repository.keyId).toBe(opening);
  });

  it('needs a password that opened the repository', async () => {
    const backend = await initialized();
    const repository = await opened(backend, { masterKey: (await opened(backend)).masterKey });
    expect(await codeOf(changePassword(repository, { password: 'second', kdf: CHEAP }))).toBe('bad-request');
  });
});
