import { describe, expect, it } from 'vitest';
import { findState, listStates } from '../../src/state/find.ts';
import { CHE_CLUSTER, codeOf, HOST, INFO, makeRepository, OLD, save } from './harness.ts';

const FILES = { 'backup-info.yaml': INFO, 'che-cr.yaml': CHE_CLUSTER };

describe('finding backups', () => {
  it('takes the newest of the installation for the latest', async () => {
    await using repository = await makeRepository();
    await save(repository, FILES, { at: 1 });
    const newest = await save(repository, FILES, { at: 3 });
    await save(repository, FILES, { at: 2 });
    const others = await save(repository, FILES, { at: 5, host: 'eclipse-che@uid-2' });
    // Of other programs, and of the same host.
    await save(repository, FILES, { at: 9, tags: ['nightly'] });
    await save(repository, FILES, { at: 9, tags: [] });
    expect((await findState(repository, 'latest', { host: HOST })).id).toBe(newest);
    expect((await findState(repository, 'latest', { anyInstallation: true })).id).toBe(others);
    expect((await findState(repository, 'latest', { host: HOST, anyInstallation: true })).id).toBe(others);
  });

  it("counts the old operator's where there is nothing newer", async () => {
    await using repository = await makeRepository();
    const old = await save(repository, FILES, { ...OLD, at: 1 });
    expect((await findState(repository, 'latest', { host: HOST })).id).toBe(old);
    const ours = await save(repository, FILES, { at: 2 });
    expect((await findState(repository, 'latest', { host: HOST })).id).toBe(ours);
    expect((await listStates(repository)).map(({ snapshot, isOld }) => [snapshot.id, isOld])).toEqual([
      [old, true],
      [ours, false],
    ]);
  });

  it('never takes what was saved before a restore for the latest', async () => {
    await using repository = await makeRepository();
    const tags = ['che', 'namespace:eclipse-che', 'reason:before-restore'];
    const saved = await save(repository, FILES, { at: 3, tags });
    expect(await codeOf(findState(repository, 'latest', { host: HOST }))).toBe('not-found');
    const old = await save(repository, FILES, { ...OLD, at: 1 });
    expect((await findState(repository, 'latest', { host: HOST })).id).toBe(old);
    const ours = await save(repository, FILES, { at: 2 });
    await save(repository, FILES, { ...OLD, at: 4 });
    expect((await findState(repository, 'latest', { host: HOST })).id).toBe(ours);
    expect((await findState(repository, 'latest', { anyInstallation: true })).id).toBe(ours);
    expect((await findState(repository, saved)).id).toBe(saved);
  });

  it('finds one by id and by the beginning of one, whichever installation it is of', async () => {
    await using repository = await makeRepository();
    const id = await save(repository, FILES, { host: 'elsewhere@uid-9' });
    const something = await save(repository, { a: 'b' }, { tags: ['nightly'] });
    for (const which of [id, id.slice(0, 12)]) expect((await findState(repository, which, { host: HOST })).id).toBe(id);
    expect(await codeOf(findState(repository, something))).toBe('mismatch');
    expect(await codeOf(findState(repository, 'ffffffffffff'))).toBe('not-found');
    expect(await codeOf(findState(repository, `${id}:secrets`))).toBe('bad-request');
    expect(await codeOf(findState(repository, 'latest', { host: HOST }))).toBe('not-found');
    // It could be that of anybody.
    expect(await codeOf(findState(repository, 'latest'))).toBe('bad-request');
  });

  it('says what tags say', async () => {
    await using repository = await makeRepository();
    await save(repository, FILES, { at: 1, tags: ['che', 'namespace:a', 'version:7.100.0', 'reason:schedule'] });
    await save(repository, FILES, { at: 2, tags: ['che', 'namespace:b', 'reason:whatever'] });
    // Somebody has marked it since.
    await save(repository, FILES, { ...OLD, at: 3, tags: ['keep'] });
    const facts = (await listStates(repository)).map(({ namespace, cheVersion, reason }) => [
      namespace,
      cheVersion,
      reason,
    ]);
    expect(facts).toEqual([
      ['a', '7.100.0', 'schedule'],
      ['b', undefined, undefined],
      [undefined, undefined, undefined],
    ]);
    expect((await listStates(repository, { namespace: 'b' })).map(({ namespace }) => namespace)).toEqual([
      'b',
      undefined,
    ]);
    expect((await listStates(repository, { host: 'another' })).map(({ isOld }) => isOld)).toEqual([true]);
  });
});
