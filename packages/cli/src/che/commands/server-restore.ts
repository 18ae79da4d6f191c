import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { documented, REPOSITORY_EXITS } from '../../manual/manual.ts';
import type { Manual } from '../../manual/manual.ts';
import { findNamespace, withCluster } from '../cluster.ts';
import { refuseSilence } from '../confirm.ts';
import type { CheContext, CheStart } from '../context.ts';
import { restoreByOperator } from '../restore-by-operator.ts';
import { chooseRestore } from '../restore-choice.ts';
import type { RestoreChoice } from '../restore-choice.ts';
import { addRestoreFlags, checkRestoreFlags } from '../restore-flags.ts';
import type { RestoreFlags } from '../restore-flags.ts';
import { DIFFERS, restoreHere } from '../restore-here.ts';
import { findSource } from '../restore-source.ts';
import type { Place } from '../server.ts';

const MANUAL: Manual = {
  examples: [
    {
      purpose: 'Show what a restore of the latest backup would do',
      words: 'server:restore --snapshot-id latest --dry-run',
    },
    { purpose: 'Restore a backup without being asked', words: 'server:restore -s 5845b002 --batch' },
    {
      purpose: 'Restore into another cluster, of which the domain is another one',
      words:
        'server:restore -s latest -r s3:https://s3.example/bucket --repository-password-file ~/.che-password --allow cluster,domain',
    },
    {
      purpose: 'Restore the workspaces of one user',
      words: "server:restore -s latest --only 'DevWorkspace/ann-che/*'",
    },
    { purpose: 'Go back to what was before the last update', words: 'server:restore --rollback' },
    {
      purpose: 'Bring an older version of Che, and restore a backup of it',
      words: 'server:restore -v 7.80.0 -s 5845b002',
    },
  ],
  exits: { ...REPOSITORY_EXITS, [DIFFERS]: 'restored, but something is not as in the backup' },
};

export function defineServerRestore(program: CommandUnknownOpts, start: CheStart): CommandUnknownOpts {
  const command = documented(program.command('server:restore'), MANUAL).description(
    'Restore Eclipse Che from a backup: shows what it would do, asks, backs up what there is, and then brings back objects, users, workspaces and databases. A restore that was interrupted is continued by calling it again.',
  );
  addRestoreFlags(command);
  return command.action((flags: RestoreFlags) => serverRestore(start(), flags));
}

async function serverRestore(context: CheContext, flags: RestoreFlags): Promise<void> {
  const { ui } = context;
  const choice = chooseRestore(flags);
  checkRestoreFlags(flags);
  if (!flags.dryRun) refuseSilence(flags.batch, ui.json);
  if (flags.olmChannel !== undefined)
    ui.warn('Warning: --olm-channel: of no effect, the Subscription says the channel');
  await withCluster(context, async (cluster, che) => {
    const namespace = await findNamespace(context, cluster, che);
    const place = { cluster, che, namespace };
    const current = await currentVersion(context, place, choice);
    const source = await findSource(context, place, choice, { current, flags });
    const job = { place, flags, source, current };
    if (flags.viaOperator) await restoreByOperator(context, job);
    else await restoreHere(context, job);
  });
}

/** Who only restores a snapshot needs no right to look for operators. */
async function currentVersion(
  { signal }: CheContext,
  { cluster, che, namespace }: Place,
  choice: RestoreChoice,
): Promise<string | undefined> {
  const { EngineError } = await import('restic-engine');
  try {
    return await che.operatorVersion(cluster, namespace, { signal });
  } catch (error) {
    const isNeeded = choice.by !== 'snapshot' || choice.version !== undefined;
    if (isNeeded || !EngineError.is(error, 'denied')) throw error;
    return undefined;
  }
}
