import { describe, expect, it } from 'vitest';
import { chooseRestore } from '../../src/che/restore-choice.ts';
import type { ChoiceFlags } from '../../src/che/restore-choice.ts';

const ID = { snapshotId: '5845b002' };

describe('what is restored', () => {
  it.each<[ChoiceFlags, unknown]>([
    [ID, { by: 'snapshot', id: '5845b002', version: undefined }],
    [{ snapshotId: 'latest' }, { by: 'snapshot', id: 'latest', version: undefined }],
    [
      { ...ID, version: '7.42.0' },
      { by: 'snapshot', id: '5845b002', version: '7.42.0' },
    ],
    [
      { ...ID, version: 'v7.42.0' },
      { by: 'snapshot', id: '5845b002', version: '7.42.0' },
    ],
    [
      { ...ID, repositoryUrl: 'rest:h' },
      { by: 'snapshot', id: '5845b002', version: undefined },
    ],
    [
      { ...ID, backupServerConfigName: 'mine' },
      { by: 'snapshot', id: '5845b002', version: undefined },
    ],
    [{ backupCrName: 'monday' }, { by: 'backup', name: 'monday' }],
    [{ rollback: true }, { by: 'rollback' }],
    // Credentials name no server: of the environment they are in the way of nothing.
    [{ rollback: true, awsAccessKeyId: 'a', username: 'u' }, { by: 'rollback' }],
  ])('%o', (flags, expected) => {
    expect(chooseRestore(flags)).toEqual(expected);
  });

  it.each<[ChoiceFlags, RegExp]>([
    [{}, /--snapshot-id .*--backup-cr-name or --rollback/],
    [{ snapshotId: '' }, /--snapshot-id/],
    [{ version: '7.42.0' }, /--version needs --snapshot-id/],
    [{ backupCrName: 'monday', ...ID }, /--backup-cr-name cannot be used together with --snapshot-id/],
    [{ backupCrName: 'monday', version: '1' }, /--version/],
    [{ backupCrName: 'monday', repositoryUrl: 'rest:h' }, /--repository-url/],
    [{ backupCrName: 'monday', repositoryPassword: 'x' }, /--repository-password/],
    [{ backupCrName: 'monday', backupServerConfigName: 'x' }, /--backup-server-config-name/],
    [{ backupCrName: 'monday', internalServer: true }, /--internal-server/],
    [{ rollback: true, backupCrName: 'monday' }, /--rollback cannot be used together with --backup-cr-name/],
    [{ rollback: true, ...ID }, /--snapshot-id/],
    [{ rollback: true, version: '1' }, /--version/],
    [{ rollback: true, repositoryUrl: 'rest:h' }, /--repository-url/],
    [{ rollback: true, repositoryPassword: 'x' }, /--repository-password/],
    [{ rollback: true, repositoryPasswordFile: 'x' }, /--repository-password-file/],
    [{ rollback: true, backupServerConfigName: 'x' }, /--backup-server-config-name/],
  ])('is refused: %o', (flags, expected) => {
    expect(() => chooseRestore(flags)).toThrow(expected);
  });
});
