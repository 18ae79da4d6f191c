import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { SftpOptions } from '../../src/sftp/options.ts';
import { resolveTarget } from '../../src/sftp/target.ts';
import type { Target } from '../../src/sftp/target.ts';

/** What becomes of options in a home folder with these files below `.ssh`. */
async function resolve(
  files: Readonly<Record<string, string>>,
  options: Partial<SftpOptions> = {},
): Promise<Target & { readonly home: string }> {
  const home = await mkdtemp(join(tmpdir(), 'home-'));
  onTestFinished(() => rm(home, { recursive: true }));
  await mkdir(join(home, '.ssh/conf.d'), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(home, '.ssh', name), text);
  const configFile = options.configFile ?? join(home, '.ssh/config');
  const env = { HOME: home, SSH_AUTH_SOCK: '/run/agent', WHERE: '/run/other' };
  return { ...(await resolveTarget({ host: 'store', path: 'repo', env, ...options, configFile })), home };
}

describe('a host', () => {
  it('without any configuration is reached as ssh would', async () => {
    const { home, ...target } = await resolve({}, { configFile: false });
    expect(target).toEqual({
      host: 'store',
      port: 22,
      user: userInfo().username,
      hostKey: {
        host: 'store',
        port: 22,
        text: '',
        files: [
          join(home, '.ssh/known_hosts'),
          join(home, '.ssh/known_hosts2'),
          '/etc/ssh/ssh_known_hosts',
          '/etc/ssh/ssh_known_hosts2',
        ],
        accept: 'strict',
      },
      identityFiles: [],
      defaultIdentities: ['id_ed25519', 'id_ecdsa', 'id_rsa'].map((name) => join(home, '.ssh', name)),
      identitiesOnly: false,
      agent: '/run/agent',
      jumps: [],
      proxyCommand: undefined,
    });
  });

  it('takes what the configuration says about it, the first word counting', async () => {
    const config = `
Host other
  User nobody
host store
  hostname=%h.example.org
  Port 2222
  User keeper
  IdentityFile ~/.ssh/%r
  IdentityFile "/keys/with space"
  IdentitiesOnly yes
  UserKnownHostsFile ~/.ssh/a /b
  GlobalKnownHostsFile none
  StrictHostKeyChecking accept-new
Host *
  User second
  ProxyCommand connect -H "pro xy" %h %p %%
`;
    const target = await resolve({ config });
    expect(target).toMatchObject({
      host: 'store.example.org',
      port: 2222,
      user: 'keeper',
      identityFiles: [join(target.home, '.ssh/keeper'), '/keys/with space'],
      identitiesOnly: true,
      proxyCommand: 'connect -H "pro xy" store.example.org 2222 %',
      hostKey: { host: 'store.example.org', port: 2222, files: [join(target.home, '.ssh/a'), '/b'], accept: 'new' },
    });
  });

  it('takes what options say before what the configuration says', async () => {
    const config = 'User a\nPort 1\nIdentityFile /a\nIdentityAgent /a\nUserKnownHostsFile /a\n';
    const options = { user: 'b', port: 2, identityFiles: ['/b'], agent: '/b', knownHostsFiles: ['/b'] };
    expect(await resolve({ config }, options)).toMatchObject({
      user: 'b',
      port: 2,
      identityFiles: ['/b'],
      agent: '/b',
      hostKey: { files: ['/b'] },
    });
    expect((await resolve({ config }, { agent: false })).agent).toBeUndefined();
  });

  it.each([
    ['none', undefined],
    ['SSH_AUTH_SOCK', '/run/agent'],
    ['$WHERE', '/run/other'],
    ['${WHERE}', '/run/other'],
    ['$NOWHERE', undefined],
    ['/run/%r', '/run/keeper'],
  ])('has the agent %s', async (agent, expected) => {
    expect((await resolve({ config: `User keeper\nIdentityAgent ${agent}\n` })).agent).toBe(expected);
  });

  it.each([
    ['yes', 'strict'],
    ['ask', 'strict'],
    ['no', 'new'],
    ['off', 'new'],
    ['accept-new', 'new'],
  ])('is checked with StrictHostKeyChecking %s: %s', async (word, accept) => {
    expect((await resolve({ config: `StrictHostKeyChecking ${word}` })).hostKey.accept).toBe(accept);
  });

  it('is known by its alias, without a port', async () => {
    const { hostKey } = await resolve({ config: 'Port 2222\nHostKeyAlias vault' });
    expect(hostKey).toMatchObject({ host: 'vault', port: undefined });
  });

  it('is behind others', async () => {
    expect((await resolve({ config: 'ProxyJump me@a:2200,b' })).jumps).toEqual(['me@a:2200', 'b']);
    expect(await resolve({ config: 'ProxyJump none\nProxyCommand none' })).toMatchObject({
      jumps: [],
      proxyCommand: undefined,
    });
  });

  it('takes included files, each in its place', async () => {
    const files = {
      config: 'Include conf.d/*.conf "other"\nPort 2222\nHost nobody\n  Include missing\n  User wrong\n',
      'conf.d/a.conf': 'Host store\n  User first\nHost elsewhere\n  Port 1\n',
      'conf.d/b.conf': 'User second\n',
      other: 'IdentityFile /other\n',
    };
    expect(await resolve(files)).toMatchObject({ user: 'first', port: 2222, identityFiles: ['/other'] });
  });

  it('is not reached with a configuration that makes no sense', async () => {
    const bad = { code: 'bad-request' };
    await expect(resolve({ config: 'Port many' })).rejects.toMatchObject(bad);
    await expect(resolve({}, { configFile: '/no/such/file' })).rejects.toMatchObject(bad);
    await expect(resolve({ config: 'Include config' })).rejects.toMatchObject(bad);
  });

  it('runs no command of Match exec', async () => {
    expect((await resolve({ config: 'Match exec "touch /tmp/owned"\n  User owned\n' })).user).not.toBe('owned');
  });
});
