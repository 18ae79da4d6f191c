import type { KubeObject } from '@restic-engine/che-state';
import { describe, expect, it } from 'vitest';
import { sourceOf } from '../../src/che/restore-source.ts';
import { backupBeforeUpdate } from '../../src/che/rollback.ts';

const NAME = 'backup-before-update-to-7-42-0';

function backup(name: string, state?: string, creationTimestamp = '2026-01-01T00:00:00Z'): KubeObject {
  const metadata = { name, namespace: 'che', creationTimestamp };
  return { apiVersion: 'org.eclipse.che/v1', kind: 'CheClusterBackup', metadata, ...(state && { status: { state } }) };
}

describe('the backup before the last update', () => {
  it.each<[string, readonly KubeObject[], string]>([
    ['is the only one', [backup(NAME, 'Succeeded'), backup('other', 'Succeeded')], NAME],
    [
      'is one that succeeded',
      [backup(NAME, 'Failed'), backup(`${NAME}-2`, 'Succeeded'), backup(`${NAME}-3`)],
      `${NAME}-2`,
    ],
    [
      'is the newest',
      [backup(NAME, 'Succeeded', '2026-02-01T00:00:00Z'), backup(`${NAME}-2`, 'Succeeded', '2026-01-01T00:00:00Z')],
      NAME,
    ],
    ['of one second, is the last attempt', [2, 10, 9].map((n) => backup(`${NAME}-${n}`, 'Succeeded')), `${NAME}-10`],
    [
      'is of this version',
      [backup(`${NAME}-rc1`, 'Succeeded'), backup(`x${NAME}`, 'Succeeded'), backup(NAME, 'Succeeded')],
      NAME,
    ],
  ])('%s', (_title, objects, expected) => {
    expect(backupBeforeUpdate(objects, '7.42.0')).toBe(expected);
  });

  it.each<[readonly KubeObject[], RegExp]>([
    [[], /there is no CheClusterBackup backup-before-update-to-7-42-0/],
    [[backup('backup-before-update-to-7-41-0', 'Succeeded')], /there is no/],
    [[backup(NAME, 'Failed'), backup(`${NAME}-2`)], /to-7-42-0 \(Failed\), backup.*-2 \(not begun\)/],
  ])('is not there: %#', (objects, message) => {
    expect(() => backupBeforeUpdate(objects, '7.42.0')).toThrow(message);
  });
});

describe('what a CheClusterBackup has made', () => {
  const status = { state: 'Succeeded', snapshotId: '5845b002', cheVersion: '7.41.0' } as const;
  const source = (spec: string | undefined, more: object = {}): unknown =>
    sourceOf(backup('b'), { spec: { backupServerConfigRef: spec }, status: { ...status, ...more } });

  it('is on the server that it names', () => {
    const restored = { snapshot: '5845b002', version: '7.41.0' };
    expect(source('main')).toEqual({ server: { by: 'configuration', name: 'main' }, ...restored });
    // The one that was used counts, not the one that was asked for.
    expect(source('main', { backupServer: 'used' })).toMatchObject({ server: { name: 'used' } });
    expect(source('main', { snapshotFullId: 'f'.repeat(64) })).toMatchObject({ snapshot: 'f'.repeat(64) });
  });

  it.each<[string | undefined, object, RegExp]>([
    ['main', { state: 'Failed' }, /has not succeeded: Failed/],
    ['main', { state: undefined }, /has not begun/],
    [undefined, {}, /on which server/],
    ['main', { cheVersion: undefined }, /of which version/],
    ['main', { snapshotId: undefined }, /which snapshot/],
  ])('must be said: %#', (spec, more, message) => {
    expect(() => source(spec, more)).toThrow(message);
  });
});
