import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { OperatorLog } from '@restic-engine/che-state';
import { InvalidValue } from '../../failure.ts';
import { documented, LOCAL_EXITS } from '../../manual/manual.ts';
import type { Manual } from '../../manual/manual.ts';
import { toJson } from '../../render/json.ts';
import type { Ui } from '../../ui.ts';
import { namedNamespace, withCluster } from '../cluster.ts';
import type { CheContext, CheStart } from '../context.ts';
import { serverImage } from '../server.ts';

interface Flags {
  readonly healthPort?: number | undefined;
  readonly approveUpdates?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Run it in a pod, as the manifests in deploy/ do', words: 'operator --health-port 8080' },
    { purpose: 'Run it beside a cluster, for one namespace', words: 'operator --chenamespace eclipse-che' },
  ],
  exits: { ...LOCAL_EXITS, 0: 'stopped by SIGTERM or SIGINT, in good order' },
};

export function defineOperator(program: CommandUnknownOpts, start: CheStart): CommandUnknownOpts {
  return documented(program.command('operator'), MANUAL)
    .description(
      'Look after the custom resources in all namespaces, or with --chenamespace in one: back up and restore as they ask, on schedules and before updates of the Che operator. Several may run, of which one works. $POD_NAME and $POD_NAMESPACE say who it is and where its Lease is, $CHE_BACKUP_IMAGE what a backup server in the cluster runs.',
    )
    .option('--health-port <port>', 'serve /healthz, /readyz and /metrics on this port', parsePort)
    .option('--approve-updates', 'approve updates that wait for it, once they are backed up')
    .action((flags: Flags) => operator(start(), flags));
}

async function operator(context: CheContext, flags: Flags): Promise<void> {
  const { env, signal, ui } = context;
  await withCluster(context, (cluster, che) =>
    che.runOperator(cluster, {
      namespace: namedNamespace(context),
      leaseNamespace: env['POD_NAMESPACE'] || undefined,
      identity: `${env['POD_NAME'] || hostname()}-${randomBytes(4).toString('hex')}`,
      image: serverImage(env),
      approveUpdates: flags.approveUpdates,
      healthPort: flags.healthPort,
      onListening: (port) => ui.say(`serving health and metrics on port ${port}`),
      signal,
      log: (entry) => tell(ui, entry),
    }),
  );
}

function tell(ui: Ui, { level, message, kind, namespace, name, code }: OperatorLog): void {
  if (ui.verbosity === 0 && level === 'info') return;
  const time = new Date().toISOString();
  if (ui.json) {
    ui.line(toJson({ message_type: 'log', time, level, message, kind, namespace, name, code }));
    return;
  }
  const object = [kind, [namespace, name].filter(Boolean).join('/')].filter(Boolean).join(' ');
  ui.line(`${time} ${level}: ${[object, message].filter(Boolean).join(': ')}`);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port < 65536) return port;
  throw new InvalidValue(`invalid port "${text}"`);
}
