import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initRepository } from 'restic-engine';
import { expect, it } from 'vitest';
import { treeFacts } from '../support/compare-trees.ts';
import { makePrograms } from '../support/programs.ts';
import type { Programs } from '../support/programs.ts';
import { randomFrom } from '../support/random.ts';
import { CHEAP } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import type { ResticRun } from '../support/restic.ts';
import { describeWithServers, KINDS, openPlace, placesOn } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';

// The life of a repository on every server, as either program leads it, judged by the other one.

showLogsOfFailures();

const MIB = 2 ** 20;
/** Seconds in which even a busy machine gets through. */
const PATIENCE = 120_000;

/** About 200 files, most of them short, and some of several MiB: more than one pack. */
function makeData(path: string): void {
  const random = randomFrom(5);
  for (let folder = 0; folder < 8; folder++) {
    const place = join(path, `folder ${folder}`, folder % 2 === 0 ? 'päth' : '.');
    mkdirSync(place, { recursive: true });
    for (let file = 0; file < 24; file++) {
      const bytes = random.bytes(random.int(20_000));
      writeFileSync(join(place, `${file}.bin`), file % 3 === 0 ? bytes.toString('hex') : bytes);
    }
  }
  for (const [name, size] of [
    ['large', 6 * MIB],
    ['larger', 9 * MIB + 12_345],
    ['zeros', 0],
  ] as const) {
    writeFileSync(join(path, name), random.bytes(size));
  }
  writeFileSync(join(path, 'zeros'), Buffer.alloc(3 * MIB));
  symlinkSync('large', join(path, 'link'));
}

/** Gives a part of the data another content, so that most of what was stored is still in use and some of it is not. */
function changeData(path: string): void {
  writeFileSync(join(path, 'larger'), randomFrom(6).bytes(2 * MIB));
  writeFileSync(join(path, 'folder 1/5.bin'), 'changed');
  utimesSync(join(path, 'large'), 1e9, 1e9);
}

type Places = Awaited<ReturnType<typeof placesOn>>;

interface Life extends Programs {
  /** Runs a program, which must succeed and keep the secrets of the place. */
  ok(run: Programs['ours'], ...words: string[]): Promise<string>;
}

function begin(restic: Parameters<typeof makePrograms>[0], places: Places): Life {
  const programs = makePrograms(restic, { places });
  makeData(join(programs.path, 'data'));
  const ok: Life['ok'] = async (run, ...words) => {
    const result = await run(...words);
    expect(result, words.join(' ')).toMatchObject({
      status: 0,
      stderr: expect.any(String),
    } satisfies Partial<ResticRun>);
    for (const secret of places.ours.secrets) expect(result.stdout + result.stderr).not.toContain(secret);
    return result.stdout;
  };
  return { ...programs, [Symbol.dispose]: programs[Symbol.dispose], ok };
}

/** One snapshot, and no lock. */
async function expectLeft({ ours }: Places): Promise<void> {
  await using backend = await openPlace(ours);
  expect(await Array.fromAsync(backend.list('snapshot'))).toHaveLength(1);
  expect(await Array.fromAsync(backend.list('lock'))).toEqual([]);
}

await describeWithServers('a repository', KINDS, ({ server, restic }) => {
  it('that we lead is one for restic', { timeout: PATIENCE }, async () => {
    const places = await placesOn(server(), 'ours');
    using life = begin(restic, places);
    const { ours, theirs, ok, path } = life;
    {
      await using backend = await openPlace(places.ours);
      await initRepository({ backend, password: PASSWORD, kdf: CHEAP });
    }
    await ok(ours, 'backup', 'data');
    changeData(join(path, 'data'));
    await ok(ours, 'backup', 'data');
    expect(await ok(ours, 'check', '--read-data')).toContain('no errors were found');
    await ok(ours, 'restore', 'latest', '--target', 'by us');
    expect(treeFacts(join(path, 'by us/data'))).toEqual(treeFacts(join(path, 'data')));
    await ok(ours, 'forget', '--keep-last', '1');
    await ok(ours, 'prune', '--max-unused', '0');

    expect(await ok(theirs, 'check', '--read-data')).toContain('no errors were found');
    await ok(theirs, 'restore', 'latest', '--target', 'by restic');
    expect(treeFacts(join(path, 'by restic/data'))).toEqual(treeFacts(join(path, 'data')));
    await expectLeft(places);
  });

  it('that restic leads is one for us', { timeout: PATIENCE }, async () => {
    const places = await placesOn(server(), 'theirs');
    using life = begin(restic, places);
    const { ours, theirs, ok, path } = life;
    await ok(theirs, 'init');
    await ok(theirs, 'backup', 'data');
    changeData(join(path, 'data'));
    await ok(theirs, 'backup', 'data');
    await ok(theirs, 'forget', '--keep-last', '1', '--prune', '--max-unused', '0');

    expect(await ok(ours, 'check', '--read-data')).toContain('no errors were found');
    await ok(ours, 'restore', 'latest', '--target', 'by us');
    expect(treeFacts(join(path, 'by us/data'))).toEqual(treeFacts(join(path, 'data')));
    await expectLeft(places);
  });
});
