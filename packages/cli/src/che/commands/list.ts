import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { StateEntry } from '@restic-engine/che-state';
import { documented, REPOSITORY_EXITS } from '../../manual/manual.ts';
import type { Manual } from '../../manual/manual.ts';
import { toJson } from '../../render/json.ts';
import { formatLocalTime } from '../../render/time.ts';
import { namedNamespace } from '../cluster.ts';
import type { CheContext, CheStart } from '../context.ts';
import { withRepositoryToRead } from '../server.ts';
import { addServerFlags } from '../server-flags.ts';
import type { ServerFlags } from '../server-flags.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'List the backups on the server that is configured in the cluster', words: 'list' },
    {
      purpose: 'List those of one namespace, in a repository of which the password is in a file',
      words: 'list -r rest:https://backup.example:8000/che --repository-password-file ~/.che-password -n eclipse-che',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineList(program: CommandUnknownOpts, start: CheStart): CommandUnknownOpts {
  const command = documented(program.command('list'), MANUAL).description(
    'List the backups of Eclipse Che in a repository, oldest first: all, or with --chenamespace those of one namespace and those of the old operator, which do not say where they come from.',
  );
  addServerFlags(command);
  return command.action((flags: ServerFlags) => list(start(), flags));
}

async function list(context: CheContext, flags: ServerFlags): Promise<void> {
  const { signal, ui } = context;
  await withRepositoryToRead(context, flags, async (repository, che) => {
    const states = await che.listStates(repository, {
      namespace: namedNamespace(context),
      signal,
      onBroken: (id, error) => ui.warn(`Ignoring "${id}": ${error.message}`),
    });
    if (ui.json) {
      for (const state of states) ui.line(toJson(stateJson(state)));
      return;
    }
    ui.table(
      [
        { header: 'ID      ', cell: ({ snapshot }) => snapshot.id.slice(0, 8) },
        { header: 'Time', cell: ({ snapshot }) => formatLocalTime(snapshot.time) },
        { header: 'Namespace', cell: ({ namespace }) => ui.screen.name(namespace ?? '') },
        { header: 'Version', cell: ({ cheVersion }) => ui.screen.name(cheVersion ?? '') },
        { header: 'Reason', cell: ({ reason, isOld }) => (isOld ? 'by the old operator' : (reason ?? '')) },
      ],
      states,
    );
  });
}

function stateJson({ snapshot, namespace, cheVersion, reason, isOld }: StateEntry): Record<string, unknown> {
  return {
    message_type: 'snapshot',
    id: snapshot.id,
    short_id: snapshot.id.slice(0, 8),
    time: snapshot.time,
    hostname: snapshot.hostname,
    tags: snapshot.tags ?? [],
    namespace,
    che_version: cheVersion,
    reason,
    old_operator: isOld,
  };
}
