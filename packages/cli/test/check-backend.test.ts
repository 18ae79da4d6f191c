import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { messages, runProgram } from './program.ts';
import { makeTempDir } from './temp-dir.ts';

describe('check-backend', () => {
  it('tells of each promise and leaves the place as it was', async () => {
    using dir = makeTempDir();
    writeFileSync(join(dir.path, 'mine'), '');
    const { status, stdout, stderr } = await runProgram(['check-backend', dir.path, '--json']);
    expect([status, stderr]).toEqual([0, '']);
    const all = messages(stdout);
    const summary = all.pop();
    expect(all.length).toBeGreaterThan(40);
    for (const verdict of all) {
      expect(verdict).toEqual({
        message_type: 'verdict',
        group: expect.any(String),
        name: expect.any(String),
        kept: true,
        duration: expect.any(Number),
      });
    }
    const location = expect.stringMatching(/\/restic-engine-check-[0-9a-f]{12}$/);
    expect(summary).toEqual({ message_type: 'summary', location, kept: all.length, broken: 0 });
    expect(readdirSync(dir.path)).toEqual(['mine']);
  });

  it('takes the place from -r, and removes folders above that it made', async () => {
    using dir = makeTempDir();
    const { status, stdout } = await runProgram(['-r', join(dir.path, 'a/b'), 'check-backend']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^checking .*\/a\/b\/restic-engine-check-/);
    expect(stdout).toMatch(/\n\d+ promises kept, 0 broken\n$/);
    expect(readdirSync(dir.path)).toEqual([]);
  });

  it('leaves nothing after an interrupt', async () => {
    using dir = makeTempDir();
    const { status } = await runProgram(['check-backend', dir.path], {
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGINT')),
    });
    expect(status).toBe(130);
    expect(readdirSync(dir.path)).toEqual([]);
  });

  it('fails where nothing can be stored', async () => {
    using dir = makeTempDir();
    mkdirSync(join(dir.path, 'folder'));
    writeFileSync(join(dir.path, 'folder/file'), '');
    const { status, stderr } = await runProgram(['check-backend', join(dir.path, 'folder/file')]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Fatal: /);
    expect((await runProgram(['check-backend'])).stderr).toContain('specify repository location');
    // With the place below, this would be a bucket.
    expect((await runProgram(['check-backend', 's3:host'])).stderr).toContain('the bucket is missing');
  });
});

describe('check-backend on a server whose folders go no deeper', () => {
  it('says where to look instead', async () => {
    const server = createServer((_, response) => void response.writeHead(404).end());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const { status, stderr } = await runProgram(['check-backend', `rest:http://127.0.0.1:${port}/alice/laptop/`]);
    server.close();
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^Fatal: .*no repositories at such a path.*\nthe test makes a folder .*one folder higher\n$/,
    );
  });
});

describe('options', () => {
  it('lists the extended options', async () => {
    const { status, stdout } = await runProgram(['options']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^All Extended Options:\n {2}local\.connections +\S/);
    const [all] = messages((await runProgram(['options', '--json'])).stdout) as unknown as { name: string }[][];
    expect(all?.map(({ name }) => name)).toContain('s3.region');
  });
});
