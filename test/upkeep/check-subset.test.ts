import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, check, initRepository, localBackend, memoryBackend, objects } from 'restic-engine';
import { expect, it } from 'vitest';
import { parseSubset } from '../../packages/cli/src/commands/check.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { startCli } from '../support/cli.ts';
import { CHEAPEST, filesOf, openStore, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import type { ResticRun } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { copyToFolder } from './repository.ts';

// How much is read, and what is said of it, beside restic.

/** A repository of 40 packs of many sizes. */
async function makePacks(): Promise<StoredFile[]> {
  const store = memoryBackend();
  await initRepository({ backend: store, password: PASSWORD, kdf: CHEAPEST });
  const repository = await openStore(store);
  const random = randomFrom(21);
  for (let day = 0; day < 20; day++) {
    await backup(repository, { source: objects([{ path: 'today', content: random.bytes(1000 * (day + 1)) }]) });
  }
  return filesOf(store);
}

const files = makePacks();

/** Damages a pack where only reading it shows that. */
function flip(repo: string, pack: string): void {
  const path = join(repo, 'data', pack.slice(0, 2), pack);
  const bytes = readFileSync(path);
  bytes[40]! ^= 1;
  writeFileSync(path, bytes);
}

/** Of what is printed with --json: the last line, and of every other one its kind. */
function shapeOf({ status, stdout, stderr }: ResticRun): unknown {
  const lines = `${stderr}${stdout}`.trim().split('\n');
  const messages = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const { num_errors: errors, ...summary } = messages.at(-1) ?? {};
  const kinds = new Set(messages.map(({ message_type: kind }) => kind));
  return { status, keys: Object.keys(messages.at(-1) ?? {}), summary, damaged: Number(errors) > 0, kinds };
}

await describeWithPeer('restic', 'check --read-data-subset', (peer) => {
  it.concurrent.each([
    '1/1',
    '2/3',
    '7/256',
    '01/2',
    '0.1%',
    '.5%',
    '33%',
    '5e1%',
    '+20%',
    '100%',
    '1b',
    '40k',
    '0100K',
    '5G',
  ])('%s reads as many packs as restic', async (form) => {
    using folder = makeTempDir();
    await copyToFolder(await files, folder.path);
    const theirs = await resticAt(peer, { repo: folder.path }).ok(['check', '--read-data-subset', form]);
    const [, read] = /^\[.*100\.00% +(\d+) \/ \1 packs$/m.exec(theirs.slice(theirs.indexOf('read '))) ?? [];
    const result = await check(await openStore(await storeOf(await files)), {
      readData: parseSubset(form),
      lock: false,
    });
    expect(result.packsRead).toBe(Number(read ?? 0));
    if (form !== '7/256') expect(result.packsRead).toBeGreaterThan(0);
  });

  it('is refused where restic refuses it', async () => {
    using folder = makeTempDir();
    await copyToFolder(await files, folder.path);
    using cli = startCli({ repo: folder.path });
    const restic = resticAt(peer, { repo: folder.path });
    for (const form of [
      '0%',
      '100.1%',
      '-1%',
      '%',
      '4/3',
      '0/2',
      '1/0',
      '1/257',
      '1/',
      '0',
      '0K',
      '7',
      'half',
      '1 / 2',
    ]) {
      const words = ['check', '--read-data-subset', form];
      expect([form, (await cli.run(words)).status, (await restic.run(words)).status]).toEqual([form, 1, 1]);
    }
    const both = ['check', '--read-data', '--read-data-subset', '1/2'];
    expect([(await cli.run(both)).stderr, (await cli.run(both)).status]).toEqual([(await restic.run(both)).stderr, 1]);
  });

  it('ends as restic does where there is nothing to check, or no way to', async () => {
    using folder = makeTempDir();
    await copyToFolder(await files, folder.path);
    using cli = startCli({ repo: folder.path });
    const restic = resticAt(peer, { repo: folder.path });
    await using _ = await (await openStore(localBackend(folder.path))).lock();
    const cases = [
      [10, { repo: join(folder.path, 'nowhere') }],
      [11, {}],
      [12, { password: 'wrong' }],
    ] as const;
    for (const [status, options] of cases) {
      expect([status, (await cli.run(['check'], options)).status]).toEqual([status, status]);
      expect((await restic.run(['check'], options)).status).toBe(status);
    }
  });

  it('reads the same part of the packs, and says the same with --json', async () => {
    using folder = makeTempDir();
    await copyToFolder(await files, folder.path);
    const damaged = (await files).filter(({ type, bytes }) => type === 'data' && bytes.length > 2000);
    const pack = damaged[3]!.name;
    flip(folder.path, pack);
    using cli = startCli({ repo: folder.path });
    const restic = resticAt(peer, { repo: folder.path });
    const parts = 3;
    const seen: boolean[] = [];
    for (let part = 1; part <= parts; part++) {
      const words = ['check', '--json', '--read-data-subset', `${part}/${parts}`];
      const [ours, theirs] = [shapeOf(await cli.run(words)), shapeOf(await restic.run(words))];
      expect(ours).toEqual(theirs);
      seen.push((ours as { damaged: boolean }).damaged);
    }
    const part = Number.parseInt(pack.slice(0, 2), 16) % parts;
    expect(seen).toEqual(Array.from({ length: parts }, (_, each) => each === part));
    const words = ['check', '--json', '--read-data-subset', '100%'];
    expect(shapeOf(await cli.run(words))).toEqual(shapeOf(await restic.run(words)));
  });
});
