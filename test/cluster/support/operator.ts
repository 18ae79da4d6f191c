/** Starts operators as processes, and looks at what they make of objects. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { JobStatus, KubeObject, ObjectRef } from '@restic-engine/che-state';
import { readJobStatus } from '@restic-engine/che-state';
import type { Api } from './api.ts';
import { until } from './installation.ts';
import type { OperatorRequest } from './operator-program.ts';

const PROGRAM = fileURLToPath(new URL('operator-program.ts', import.meta.url));

/** Everything that operators have logged since the file began. */
let logged = '';
export const operatorLogs = (): string => logged;

export interface TestOperator extends AsyncDisposable {
  readonly identity: string;
  log(): string;
  /** Resolves when it has logged something that matches; with the first group. */
  says(pattern: RegExp): Promise<string>;
  /** As a crash would. */
  kill(): Promise<void>;
  /** Asks it to end; resolves with its exit status. */
  stop(): Promise<number | null>;
}

export function startOperator(request: OperatorRequest): TestOperator {
  const child: ChildProcess = spawn(process.execPath, [...process.execArgv, PROGRAM, JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  const ended = once(child, 'exit');
  let log = '';
  const read = (text: string): void => {
    log += text;
    logged += text;
  };
  child.stdout?.setEncoding('utf8').on('data', read);
  child.stderr?.setEncoding('utf8').on('data', read);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await ended;
    }
    return child.exitCode;
  };
  return {
    identity: request.identity,
    log: () => log,
    async says(pattern) {
      await until(`the operator says ${String(pattern)}: ${log}`, () => Promise.resolve(pattern.test(log)));
      return pattern.exec(log)?.[1] ?? '';
    },
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    async [Symbol.asyncDispose]() {
      await end('SIGKILL');
    },
  };
}

/** Resolves with the status of a job when `is` says so. */
export async function statusWhen(api: Api, ref: ObjectRef, is: (status: JobStatus) => boolean): Promise<JobStatus> {
  let last: KubeObject | undefined;
  try {
    await until(`${ref.name} is as it should be`, async () => is(readJobStatus((last = await api.get(ref)))));
  } catch (error) {
    throw new Error(`${String(error)}: ${JSON.stringify(last?.status)}`, { cause: error });
  }
  return readJobStatus(last as KubeObject);
}

export const isOver = ({ state }: JobStatus): boolean => state === 'Succeeded' || state === 'Failed';

/** Resolves with the status of a job that has succeeded; rejects with what it says when it failed. */
export async function success(api: Api, ref: ObjectRef): Promise<JobStatus> {
  const status = await statusWhen(api, ref, isOver);
  if (status.state !== 'Succeeded') throw new Error(`${ref.name} failed: ${status.message}\n${logged}`);
  return status;
}

/** The operator of Che as it is deployed. */
export function cheOperator(namespace: string, version: string): KubeObject {
  const labels = { app: 'che-operator' };
  const env = [{ name: 'CHE_VERSION', value: version }];
  const spec = { containers: [{ name: 'che-operator', image: 'example/operator', env }] };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'che-operator', namespace },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
}
