/** An operator in a process of its own, so that it can be killed; what it logs goes to standard output. */
import { type Cluster, connectCluster, type OperatorOptions, runOperator } from '@restic-engine/che-state';

export interface OperatorRequest extends Omit<OperatorOptions, 'signal' | 'log' | 'onListening' | 'now'> {
  readonly kubeconfig: string;
  readonly context: string;
  /** By how much its clock is ahead. */
  readonly aheadMs?: number;
  /** It dies when it shows a stage that is not one of these, and before it says that something has succeeded. */
  readonly survives?: readonly string[];
}

const { kubeconfig, context, aheadMs = 0, survives, ...options } = JSON.parse(process.argv[2] ?? '') as OperatorRequest;
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const say = (entry: object): void => void process.stdout.write(`${JSON.stringify(entry)}\n`);

function mortal(cluster: Cluster, survived: readonly string[]): Cluster {
  const die = (where: string): void => {
    if (survived.includes(where)) return;
    say({ message: `dies at: ${where}` });
    process.kill(process.pid, 'SIGKILL');
  };
  return {
    ...cluster,
    async merge(ref, patch, call) {
      const { state, stage } = (patch['status'] ?? {}) as { readonly state?: string; readonly stage?: string | null };
      if (state === 'Succeeded') die(state);
      const object = await cluster.merge(ref, patch, call);
      if (typeof stage === 'string') die(stage);
      return object;
    },
  };
}

const cluster = await connectCluster({ kubeconfig, context });
try {
  await runOperator(survives === undefined ? cluster : mortal(cluster, survives), {
    ...options,
    now: () => new Date(Date.now() + aheadMs),
    signal: stop.signal,
    log: say,
    onListening: (port) => say({ message: `listening on ${port}` }),
  });
} finally {
  await cluster[Symbol.asyncDispose]();
}
