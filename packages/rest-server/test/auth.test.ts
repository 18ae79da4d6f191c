import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { describe, expect, it } from 'vitest';
import { createRestServer, htpasswd, htpasswdFile } from '../src/index.ts';
import { Verified } from '../src/auth/verified.ts';
import { parseUsers } from '../src/auth/htpasswd.ts';
import { ask, basic, idOf } from './client.ts';
import { Store } from './store.ts';

const sha = (password: string): string => `{SHA}${createHash('sha1').update(password).digest('base64')}`;
const bcrypt = (password: string, version = '2b'): string => hashSync(password, 4).replace(/^\$2b/, `$${version}`);

const USERS = [
  '# people',
  '',
  `alice:${bcrypt('secret')}`,
  `anna:${bcrypt('secret', '2a')}`,
  `yves:${bcrypt('secret', '2y')}`,
  `bob:${sha('pass:word')}`,
  `zoë@example.org:${sha('ünïcode')}`,
  'carol:$apr1$abc$def',
  'dave:plain',
  'e ve:{SHA}xx',
].join('\n');

describe('htpasswd', () => {
  it.each([
    ['alice', 'secret', true],
    ['anna', 'secret', true],
    ['yves', 'secret', true],
    ['bob', 'pass:word', true],
    ['zoë@example.org', 'ünïcode', true],
    ['alice', 'Secret', false],
    ['alice', '', false],
    ['alice', `secret\0`, false],
    ['bob', 'pass', false],
    ['nobody', 'secret', false],
    ['', '', false],
    ['carol', 'def', false],
    ['dave', 'plain', false],
    ['__proto__', 'x', false],
    ['# people', '', false],
  ])('%j with %j: %j', async (user, password, expected) => {
    const authenticate = htpasswd(USERS);
    expect(await authenticate(user, password)).toBe(expected);
    expect(await authenticate(user, password)).toBe(expected);
  });

  it('tells which lines it cannot use, without what is in them', () => {
    const { hashes, problems } = parseUsers(USERS);
    expect([...hashes.keys()]).toEqual(['alice', 'anna', 'yves', 'bob', 'zoë@example.org']);
    expect(problems.map((problem) => /^line (\d+): /.exec(problem)?.[1])).toEqual(['8', '9', '10']);
    expect(problems.join()).not.toMatch(/apr1|plain|xx/);
  });

  it('does not take long for who has been in before, and never forgets a wrong password for a right one', async () => {
    const authenticate = htpasswd(`alice:${hashSync('secret', 10)}`);
    expect(await authenticate('alice', 'secret')).toBe(true);
    const start = performance.now();
    for (let index = 0; index < 200; index++) expect(await authenticate('alice', 'secret')).toBe(true);
    expect(performance.now() - start).toBeLessThan(500);
    expect(await authenticate('alice', 'wrong')).toBe(false);
    expect(await authenticate('alice', 'secret')).toBe(true);
  });

  it('pays once for a client that begins with many requests', async () => {
    const authenticate = htpasswd(`alice:${hashSync('secret', 10)}`);
    const once = performance.now();
    await authenticate('alice', 'wrong');
    const cost = performance.now() - once;
    const start = performance.now();
    const all = await Promise.all(Array.from({ length: 20 }, async () => authenticate('alice', 'secret')));
    expect(all).toEqual(Array.from({ length: 20 }, () => true));
    expect(performance.now() - start).toBeLessThan(10 * cost + 200);
  });

  it('leaves most of the time to others while somebody guesses, and turns away who guesses too much', async () => {
    const authenticate = htpasswd(`alice:${hashSync('secret', 7)}`);
    const guesses = Array.from({ length: 100 }, async (_, index) => authenticate('alice', `guess ${index}`));
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    const start = performance.now();
    const results = await Promise.allSettled(guesses);
    const elapsed = performance.now() - start;
    clearInterval(timer);
    const refused = results.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBe(36);
    expect(results.filter((result) => result.status === 'fulfilled' && result.value)).toEqual([]);
    expect(ticks).toBeGreaterThan(elapsed / 6);
  });

  it('remembers for minutes only', () => {
    let now = 0;
    const verified = new Verified(() => now);
    verified.add('alice', 'secret');
    now += 4 * 60_000;
    expect(verified.has('alice', 'secret')).toBe(true);
    now += 4 * 60_000;
    expect(verified.has('alice', 'secret')).toBe(true);
    expect(verified.has('alice', 'other')).toBe(false);
    expect(verified.has('alic', 'e:secret')).toBe(false);
    now += 6 * 60_000;
    expect(verified.has('alice', 'secret')).toBe(false);
  });
});

describe('an htpasswd file', () => {
  function makeFile(text: string) {
    const folder = mkdtempSync(join(tmpdir(), 'htpasswd-'));
    const path = join(folder, '.htpasswd');
    writeFileSync(path, text);
    return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
  }

  it('is read again when it changes, at most every few seconds', async () => {
    using file = makeFile(`alice:${sha('one')}`);
    let now = 0;
    const { authenticate } = await htpasswdFile(file.path, { now: () => now });
    expect(await authenticate('alice', 'one')).toBe(true);
    writeFileSync(file.path, `alice:${sha('two')}\nbob:${sha('two')}`);
    utimesSync(file.path, 1, 1);
    now += 1000;
    expect(await authenticate('alice', 'one')).toBe(true);
    now += 30_000;
    expect(await authenticate('alice', 'one')).toBe(false);
    expect(await authenticate('bob', 'two')).toBe(true);
  });

  it('is read again at once when asked to', async () => {
    using file = makeFile(`alice:${sha('one')}`);
    const users = await htpasswdFile(file.path);
    writeFileSync(file.path, '');
    await users.reload();
    expect(await users.authenticate('alice', 'one')).toBe(false);
  });

  it('that cannot be read any more leaves the users as they were, and says so', async () => {
    const file = makeFile(`alice:${sha('one')}\nbroken`);
    const told: unknown[] = [];
    const users = await htpasswdFile(file.path, { onRead: (result) => told.push(result) });
    file[Symbol.dispose]();
    await users.reload();
    expect(await users.authenticate('alice', 'one')).toBe(true);
    expect(told).toEqual([{ users: 1, problems: [expect.stringContaining('line 2')] }, expect.any(Error)]);
  });

  it('must be there', async () => {
    await expect(htpasswdFile('/nowhere/.htpasswd')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a server with users', () => {
  const HELLO = idOf('hello');

  it('lets nobody in without a right password', async () => {
    const store = new Store();
    await using server = createRestServer({ backend: store, authenticate: htpasswd(USERS) });
    const { port } = await server.listen({});
    const headers = [
      undefined,
      {},
      basic('alice', 'wrong'),
      basic('nobody', 'secret'),
      { authorization: 'Basic' },
      { authorization: 'Basic !!!' },
      { authorization: `Basic ${Buffer.from('alice').toString('base64')}` },
      { authorization: `Bearer ${Buffer.from('alice:secret').toString('base64')}` },
    ];
    for (const each of headers) {
      for (const [method, path] of [
        ['GET', '/config'],
        ['POST', '/?create=true'],
        ['DELETE', `/data/${HELLO}`],
        ['PATCH', '/nowhere/at/all/'],
        ['GET', '/../..'],
      ] as const) {
        const answer = await ask(port, method, path, undefined, each === undefined ? {} : { headers: each });
        expect(answer.status, `${method} ${path}`).toBe(401);
        expect(answer.headers['www-authenticate']).toMatch(/^Basic /);
      }
    }
    expect(store.calls).toEqual([]);
    expect((await ask(port, 'GET', '/data/', undefined, { headers: basic('bob', 'pass:word') })).text).toBe('[]');
  });

  it('keeps private repositories private', async () => {
    const opened: string[] = [];
    const open = (repository: string): Store => {
      opened.push(repository);
      return new Store();
    };
    await using server = createRestServer({ open, authenticate: htpasswd(USERS), privateRepositories: true });
    const { port } = await server.listen({});
    const headers = basic('alice', 'secret');
    for (const [path, status] of [
      ['/alice/data/', 200],
      ['/alice/photos/data/', 200],
      ['/data/', 401],
      ['/bob/data/', 401],
      ['/bob/alice/data/', 401],
      ['/Alice/data/', 401],
      ['/alice/../bob/data/', 404],
      ['/%61lice/data/', 200],
      ['/alice%2f..%2fbob/data/', 404],
    ] as const) {
      expect((await ask(port, 'GET', path, undefined, { headers })).status, path).toBe(status);
    }
    expect(opened).toEqual(['alice', 'alice/photos']);
  });
});
