import { describe, expect, it } from 'vitest';
import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { EngineError } from '@restic-engine/repo-format';
import { inlinePool } from '../src/pool/pool.ts';
import { threadPool } from '../src/pool/threads.ts';
import { codeOf } from './harness.ts';
import { crash, echo, exchange, exit, mistake, refuse, spin, sumOfAnswers, unclonable } from './tasks.ts';

const never = new Promise<never>(() => undefined);

describe.each([
  ['inline', () => inlinePool()],
  ['with threads', () => threadPool(2)],
])('a pool %s', (_name, make) => {
  it('runs tasks and gives their results', async () => {
    await using pool = make();
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => pool.run(echo, { i, text: 'ü', big: 2n ** 64n })),
    );
    expect(results).toEqual(Array.from({ length: 20 }, (_, i) => ({ i, text: 'ü', big: 2n ** 64n })));
  });

  it('runs the same tasks after it was warmed, also for a module that does not exist', async () => {
    await using pool = make();
    pool.warm({ module: 'file:///no/such/module.js' });
    pool.warm(echo);
    expect(await pool.run(echo, 'warm')).toBe('warm');
  });

  it('is not warmed any more when it is closed', async () => {
    const pool = make();
    await pool[Symbol.asyncDispose]();
    pool.warm(echo);
    expect(await codeOf(pool.run(echo, 1))).toBe('aborted');
  });

  it('answers what tasks ask, each its own', async () => {
    await using pool = make();
    const sums = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        pool.run(sumOfAnswers, [1, 2, 3], { onAsk: async (number) => number * 10 ** i }),
      ),
    );
    expect(sums).toEqual(Array.from({ length: 8 }, (_, i) => 6 * 10 ** i));
  });

  it('passes buffers on in questions, answers and results', async () => {
    const input = Uint8Array.of(1, 2, 3);
    await using pool = make();
    const result = await pool.run(exchange, input, {
      transfer: [input.buffer],
      onAsk: (question) => question.map((byte) => byte * 10),
    });
    expect([...result]).toEqual([21, 31, 41]);
  });

  it('rejects with the error of the task: code, message, context and cause', async () => {
    await using pool = make();
    const error = await pool.run(refuse, 'abc').catch((thrown: unknown) => thrown);
    expect(EngineError.is(error, 'corrupt')).toBe(true);
    expect(error).toMatchObject({ message: 'not what it should be', context: { id: 'abc', length: 7 } });
    expect(String((error as Error).cause)).toContain('the reason');
    expect((error as Error).stack).toContain('tasks.ts');
  });

  it('rejects with an error without a code when a task is mistaken', async () => {
    await using pool = make();
    const error = await pool.run(mistake, null).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(EngineError.is(error)).toBe(false);
    expect(error).toMatchObject({ message: 'a programming mistake' });
  });

  it('rejects with what the answer throws, through the task', async () => {
    const onAsk = (): never => {
      throw new EngineError('no-space', 'full');
    };
    await using pool = make();
    expect(await codeOf(pool.run(sumOfAnswers, [1], { onAsk }))).toBe('no-space');
  });

  it('rejects when a task asks and nobody answers', async () => {
    await using pool = make();
    await expect(pool.run(sumOfAnswers, [1])).rejects.toThrow('nobody answers');
  });

  it('goes on after a task failed', async () => {
    await using pool = make();
    await Promise.allSettled([pool.run(refuse, 'x'), pool.run(mistake, null)]);
    expect(await pool.run(echo, 1)).toBe(1);
  });

  it('starts nothing with a signal that has fired', async () => {
    await using pool = make();
    expect(await codeOf(pool.run(echo, 1, { signal: AbortSignal.abort() }))).toBe('aborted');
  });

  it('rejects at once when the signal fires while a question is open, and answers no later one', async () => {
    await using pool = make();
    const stop = new AbortController();
    const asked: number[] = [];
    const running = pool.run(sumOfAnswers, [1, 2, 3], {
      signal: stop.signal,
      onAsk: (number) => {
        asked.push(number);
        setImmediate(() => stop.abort(new Error('enough')));
        return never;
      },
    });
    const error = await running.catch((thrown: unknown) => thrown);
    expect(EngineError.is(error, 'aborted')).toBe(true);
    expect((error as Error).cause).toMatchObject({ message: 'enough' });
    expect(await pool.run(echo, 1)).toBe(1);
    expect(asked).toEqual([1]);
  });

  it('rejects what is under way when it is disposed of, and everything later', async () => {
    const pool = make();
    const running = codeOf(
      pool.run(sumOfAnswers, [1, 2], { onAsk: (number) => new Promise((resolve) => setTimeout(resolve, 20, number)) }),
    );
    // A thread needs a moment to start; either way the run must end.
    await pool[Symbol.asyncDispose]();
    expect(await running).toBe('aborted');
    expect(await codeOf(pool.run(echo, 1))).toBe('aborted');
    await pool[Symbol.asyncDispose]();
  });
});

describe('a pool of threads', () => {
  it('takes the buffers it is given away', async () => {
    const input = new Uint8Array(8);
    await using pool = threadPool(1);
    await pool.run(echo, input, { transfer: [input.buffer] });
    expect(input.byteLength).toBe(0);
  });

  it('rejects at once when the signal fires while the thread is busy, and uses the thread again', async () => {
    await using pool = threadPool(1);
    await pool.run(echo, 'started');
    const stop = new AbortController();
    const since = performance.now();
    const running = pool.run(spin, 1500, { signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    expect(await codeOf(running)).toBe('aborted');
    expect(performance.now() - since).toBeLessThan(1000);
    expect(await pool.run(echo, 'again')).toBe('again');
  });

  it('ends a busy thread when it is disposed of', async () => {
    const pool = threadPool(1);
    await pool.run(echo, 'started');
    const running = codeOf(pool.run(spin, 60_000));
    await pool[Symbol.asyncDispose]();
    expect(await running).toBe('aborted');
  });

  it('rejects all runs of a thread that crashes, and starts another', async () => {
    await using pool = threadPool(1);
    const runs = [pool.run(crash, null), pool.run(sumOfAnswers, [1], { onAsk: () => never })];
    for (const settled of await Promise.allSettled(runs)) {
      expect(settled).toMatchObject({ status: 'rejected', reason: { message: 'nobody catches this' } });
    }
    expect(await pool.run(echo, 'alive')).toBe('alive');
  });

  it('rejects when a thread ends itself, and starts another', async () => {
    await using pool = threadPool(1);
    await expect(pool.run(exit, null)).rejects.toThrow('a worker thread ended');
    expect(await pool.run(echo, 'alive')).toBe('alive');
  });

  it('rejects inputs, answers and results that cannot be cloned, and goes on', async () => {
    await using pool = threadPool(1);
    await expect(pool.run(echo, () => 1)).rejects.toThrow(/could not be cloned/);
    const onAsk = (): number => (() => 1) as unknown as number;
    await expect(pool.run(sumOfAnswers, [1], { onAsk })).rejects.toThrow(/could not be cloned/);
    await expect(pool.run(unclonable, null)).rejects.toThrow(/could not be cloned/);
    expect(await pool.run(echo, 'alive')).toBe('alive');
  });

  it('rejects for a module or a task that is not there', async () => {
    await using pool = threadPool(1);
    await expect(pool.run({ ...echo, module: new URL('./none.ts', import.meta.url).href }, 1)).rejects.toThrow(
      /none\.ts/,
    );
    await expect(pool.run({ ...echo, name: 'none' }, 1)).rejects.toThrow(/no task none/);
  });

  it('gives work to idle threads first', async () => {
    await using pool = threadPool(2);
    await Promise.all([pool.run(echo, 1), pool.run(echo, 2)]);
    const stop = new AbortController();
    const busy = codeOf(pool.run(spin, 3000, { signal: stop.signal }));
    const since = performance.now();
    for (let i = 0; i < 10; i++) expect(await pool.run(echo, i)).toBe(i);
    expect(performance.now() - since).toBeLessThan(2000);
    stop.abort();
    expect(await busy).toBe('aborted');
  });

  it('works inside a worker thread of the embedder, and in CommonJS', async () => {
    const code = `
      const { parentPort } = require('node:worker_threads');
      const { threadPool } = require(${JSON.stringify(new URL('../src/index.ts', import.meta.url).pathname)});
      const { echo } = require(${JSON.stringify(new URL('./tasks.ts', import.meta.url).pathname)});
      const pool = threadPool(1);
      pool.run(echo, 'nested').then(async (value) => {
        await pool[Symbol.asyncDispose]();
        parentPort.postMessage(value);
      });
    `;
    const worker = new Worker(code, { eval: true });
    const value = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    expect(value).toBe('nested');
    await worker.terminate();
  });
});

describe('a process with an idle pool', () => {
  it.each(['warm', 'run', 'warm and run'])('ends by itself after %s', (what) => {
    const code = `
      import { threadPool } from ${JSON.stringify(new URL('../src/pool/threads.ts', import.meta.url))};
      const echo = { module: ${JSON.stringify(new URL('./tasks.ts', import.meta.url))}, name: 'echo' };
      const pool = threadPool(2);
      if (${JSON.stringify(what)}.includes('warm')) pool.warm(echo);
      if (${JSON.stringify(what)}.includes('run')) console.log(await pool.run(echo, 'ran'));
      console.log('end');`;
    const args = ['--conditions=@restic-engine/source', '--input-type=module', '--eval', code];
    const output = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 15_000 });
    expect(output).toBe(what.includes('run') ? 'ran\nend\n' : 'end\n');
  });
});
