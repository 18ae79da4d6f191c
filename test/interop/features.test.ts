// RESTIC_FEATURES means what it means to restic, as far as there is something to turn on or off.
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { enabledFeatures, FEATURES } from '../../packages/cli/src/features.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { startCli } from '../support/cli.ts';
import { initAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import type { Message } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const SETTINGS = [
  '',
  'safe-forget-keep-tags=false',
  'safe-forget-keep-tags',
  'deprecate-legacy-index=0',
  'explicit-s3-anonymous-auth=F,explicit-s3-anonymous-auth=t',
  'device-id-for-hardlinks=TRUE',
  'device-id-for-hardlinks=false',
  'foo',
  'foo=true',
  '=true',
  ',',
  'device-id-for-hardlinks,',
  'device-id-for-hardlinks,foo',
  'device-id-for-hardlinks=maybe',
  's3-restore=tRue',
  's3-restore= true',
  's3-restore=',
  's3-restore=true=true',
  'foo=maybe',
];

/** How the program takes a setting, in the words that restic prints. */
function take(setting: string): { failed: boolean; said: string } {
  const said: string[] = [];
  try {
    enabledFeatures(setting, (message) => void said.push(message));
    return { failed: false, said: said.join('\n') };
  } catch (error) {
    return { failed: true, said: (error as Error).message };
  }
}

await describeWithPeer('restic', 'feature flags', (peer) => {
  it('are those of restic', async () => {
    const table = await resticAt(peer, { repo: '/nonexistent' }).ok(['features']);
    const names = [...table.matchAll(/^([a-z0-9-]+) +(?:alpha|beta|stable|deprecated) /gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(5);
    expect(FEATURES.map(({ name }) => name)).toEqual(names);
  });

  it.for(SETTINGS)('are taken as restic takes them: "%s"', async (setting) => {
    const restic = resticAt(peer, { repo: '/nonexistent', env: { RESTIC_FEATURES: setting } });
    const { status, stderr } = await restic.run(['version']);
    const { failed, said } = take(setting);
    expect(failed).toBe(status !== 0);
    // What Go says of the value is left out.
    expect(said.replace(/: must be .*/, '')).toBe(stderr.trim().replace(/: strconv.*/, ''));
  });

  it('say what they are asked when they cannot be set here', () => {
    expect(take('backend-error-redesign=false').said).toContain('always enabled');
    expect(take('s3-restore').said).toContain('always disabled');
    expect([...enabledFeatures('device-id-for-hardlinks', () => expect.unreachable())]).toContain(
      'device-id-for-hardlinks',
    );
    expect([...enabledFeatures(undefined, () => expect.unreachable())]).not.toContain('device-id-for-hardlinks');
  });

  it('leave out the device of files with one name', async () => {
    using dir = makeTempDir();
    const options = {
      repo: join(dir.path, 'repo'),
      cwd: dir.path,
      env: { RESTIC_FEATURES: 'device-id-for-hardlinks' },
    };
    await initAt(options.repo);
    mkdirSync(join(dir.path, 'data/folder'), { recursive: true });
    for (const name of ['one', 'two']) writeFileSync(join(dir.path, 'data', name), name);
    linkSync(join(dir.path, 'data/two'), join(dir.path, 'data/folder/two'));
    symlinkSync('one', join(dir.path, 'data/link'));
    using ours = startCli(options);
    expect(await ours.run(['backup', 'data'])).toMatchObject({ status: 0 });
    expect(await ours.run(['backup', 'data'], { env: {} })).toMatchObject({ status: 0 });
    const restic = resticAt(peer, options);
    await restic.ok(['backup', 'data', '--force']);
    const [snapshots] = (await restic.json(['snapshots'])) as unknown as [Message[]];
    const [flagged, without, theirs] = snapshots.map(({ tree }) => String(tree));
    expect(flagged).toBe(theirs);
    expect(without).not.toBe(theirs);
  });
});
