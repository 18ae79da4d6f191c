import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/objects/object.ts';
import { readClusterBackup } from '../../src/resources/backup.ts';
import { rfc3339, withCondition } from '../../src/resources/conditions.ts';
import { readJobStatus } from '../../src/resources/job.ts';
import { readClusterRestore } from '../../src/resources/restore.ts';
import { readBackupSchedule } from '../../src/resources/schedule.ts';

const object = (spec: unknown, status?: unknown, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'org.eclipse.che/v1',
  kind: 'Any',
  metadata: { name: 'any', namespace: 'che', labels },
  spec: spec as NonNullable<KubeObject['spec']>,
  status: status as NonNullable<KubeObject['status']>,
});

describe('objects of the old operator', () => {
  it('are read as they are stored', () => {
    const status = {
      cheVersion: '7.41.0',
      message: 'Backup successfully finished at 2022-01-11 14:05:29.3 +0000 UTC m=+1.2',
      snapshotId: '9ea02f58',
      state: 'Succeeded',
    };
    const { spec, ...rest } = readClusterBackup(
      object({ backupServerConfigRef: 'rest', useInternalBackupServer: false }, status),
    );
    expect(spec).toEqual({ backupServerConfigRef: 'rest', useInternalBackupServer: false, externalDatabases: false });
    expect(rest.reason).toBe('manual');
    expect(rest.status).toMatchObject({ ...status, stage: undefined, snapshotFullId: undefined, conditions: [] });
  });

  it('may have no spec, and none of the fields', () => {
    expect(readClusterRestore(object(undefined)).spec).toMatchObject({
      snapshotId: 'latest',
      allow: [],
      only: undefined,
    });
    expect(readClusterRestore(object({ snapshotId: '', backupServerConfigRef: '' })).spec).toMatchObject({
      snapshotId: 'latest',
      backupServerConfigRef: undefined,
    });
    expect(readBackupSchedule(object({})).spec).toMatchObject({ timeZone: 'UTC', prune: 'Weekly', historyLimit: 10 });
  });
});

it('reads a restore with everything', () => {
  const spec = {
    snapshotId: '9ea02f58',
    allow: ['cluster', 'nonsense', 'version'],
    only: ['secret/*'],
    recreate: false,
    dryRun: true,
    readyTimeoutSeconds: 90,
  };
  expect(readClusterRestore(object(spec)).spec).toEqual({
    snapshotId: '9ea02f58',
    backupServerConfigRef: undefined,
    allow: ['version', 'cluster'],
    only: ['secret/*'],
    domain: undefined,
    remove: false,
    recreate: false,
    dryRun: true,
    skipSafetySnapshot: false,
    externalDatabases: false,
    impersonate: false,
    readyTimeoutMs: 90_000,
  });
});

it('reads a policy, and takes an empty one for none', () => {
  const retention = { keepLast: 3, keepDaily: 14, keepWithin: '1y', keepWeekly: 0, keepYearly: -1, keepMonthly: '2' };
  expect(readBackupSchedule(object({ retention })).spec.retention).toEqual({ last: 3, daily: 14, within: '1y' });
  for (const none of [undefined, {}, { keepLast: 0 }, 'all', []]) {
    expect(readBackupSchedule(object({ retention: none })).spec.retention).toBeUndefined();
  }
});

it('believes reasons that the operator writes only', () => {
  const reasonOf = (label: string): string =>
    readClusterBackup(object({}, {}, { 'backup.che.eclipse.org/reason': label })).reason;
  expect(['schedule', 'before-update', 'before-restore', 'else'].map(reasonOf)).toEqual([
    'schedule',
    'before-update',
    'manual',
    'manual',
  ]);
});

it('reads anything, and promises types only', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (spec, status) => {
      const any = object(spec, status);
      readClusterBackup(any);
      readClusterRestore(any);
      readBackupSchedule(any);
      expect(['InProgress', 'Succeeded', 'Failed', undefined]).toContain(readJobStatus(any).state);
    }),
    { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
  );
});

it('keeps the time of a condition for as long as its status lasts', () => {
  const [early, late] = [new Date('2026-01-01T00:00:00.999Z'), new Date('2026-01-02T00:00:00Z')];
  const facts = { type: 'Complete', status: 'False', reason: 'InProgress', message: 'begun' } as const;
  const other = { ...facts, type: 'Other' };
  const first = withCondition(withCondition([], facts, early), other, early);
  const second = withCondition(first, { ...facts, reason: 'Retrying' }, late);
  const third = withCondition(second, { ...facts, status: 'True' }, late);
  expect(rfc3339(early)).toBe('2026-01-01T00:00:00Z');
  expect(second.map(({ reason, lastTransitionTime }) => [reason, lastTransitionTime])).toEqual([
    ['Retrying', '2026-01-01T00:00:00Z'],
    ['InProgress', '2026-01-01T00:00:00Z'],
  ]);
  expect(third.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([
    '2026-01-02T00:00:00Z',
    '2026-01-01T00:00:00Z',
  ]);
});
