import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeers } from '../peers/peers.ts';
import { showLogsOfFailures } from '../servers/logs.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startApiServer, type ApiServer } from './support/api-server.ts';
import { install, installationV2, type TestInstallation } from './support/installation.ts';
import { startPlayers } from './support/players.ts';

const execute = promisify(execFile);
const PROGRAM = join(import.meta.dirname, 'scale-program.mjs');

interface Outcome {
  readonly objects: number;
  readonly ms: number;
  readonly cpuMs: number;
  /** The most memory that it ever had. */
  readonly mebibytes: number;
}

/** Young objects are collected often, so that memory shows what is kept; whoever keeps much dies of the limit. */
const LIMITS = ['--max-old-space-size=128', '--max-semi-space-size=4'];
const FEW = 2000;
/** `SCALE_OBJECTS=20000` takes minutes. */
const MANY = Number(process.env['SCALE_OBJECTS'] ?? 8000);
/** Most of it is what V8 has not collected yet: 54 with 8,000 objects, 58 with 20,000. */
const MOST_MEBIBYTES = 100;
/** A part of each is the start of the program; what grows with the square would be sixteen times as much, or a hundred. */
const MOST_TIMES = 0.6 + (0.6 * MANY) / FEW;
const MINUTES = 60_000;

await describeWithPeers(['kube-apiserver', 'etcd', 'kubectl'], 'many times as many objects', () => {
  showLogsOfFailures();
  const running = new AsyncDisposableStack();
  let server: ApiServer;

  const installation = (objects: number): TestInstallation => installationV2({ users: 8, devWorkspaces: 40, objects });

  beforeAll(async () => {
    server = running.use(await startApiServer());
    await using _players = startPlayers(server.api);
    await install(server.api, installation(FEW));
  }, 3 * MINUTES);
  afterAll(() => running.disposeAsync());

  /** In a process of its own; `repository` is the path of one that may not be there yet. */
  async function run(what: 'collect' | 'backup' | 'plan', repository = ''): Promise<Outcome> {
    const words = [...process.execArgv, ...LIMITS, PROGRAM, server.kubeconfig, repository, what];
    const { stdout } = await execute(process.execPath, words, { timeout: 3 * MINUTES, killSignal: 'SIGKILL' });
    return JSON.parse(stdout) as Outcome;
  }

  async function backupAndPlan(): Promise<{ readonly backup: Outcome; readonly plan: Outcome }> {
    using folder = makeTempDir();
    const repository = join(folder.path, 'repository');
    return { backup: await run('backup', repository), plan: await run('plan', repository) };
  }

  it('take hardly more memory, and time in proportion at most', { timeout: 10 * MINUTES }, async () => {
    const collected = await run('collect');
    expect(collected.objects).toBe(FEW);
    expect(collected.ms).toBeLessThan(10_000);

    const few = await backupAndPlan();
    await server.api.createAll(installation(MANY).saved.slice(FEW));
    const many = await backupAndPlan();
    for (const what of ['backup', 'plan'] as const) {
      expect([few[what].objects, many[what].objects]).toEqual([FEW, MANY]);
      expect(many[what].mebibytes - few[what].mebibytes, `memory of a ${what}`).toBeLessThan(MOST_MEBIBYTES);
      expect(many[what].cpuMs / few[what].cpuMs, `processor time of a ${what}`).toBeLessThan(MOST_TIMES);
    }
  });
});
