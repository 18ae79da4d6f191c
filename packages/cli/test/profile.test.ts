import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GlobalFlags } from '../src/flags.ts';
import { nearest, table } from '../src/profile/entry.ts';
import type { Entry } from '../src/profile/entry.ts';
import { describeProfile } from '../src/profile/describe.ts';
import { loadProfile, merge } from '../src/profile/load.ts';
import { buildProgram } from '../src/program.ts';
import { Session } from '../src/session.ts';
import { expandSwitches } from '../src/switches.ts';
import { makeTempDir } from './temp-dir.ts';

class Reached extends Error {}

interface Understood {
  readonly flags: GlobalFlags;
  /** Of the command. */
  readonly opts: Record<string, unknown>;
  readonly session: Session;
}

type Env = Record<string, string>;

/** Does all that comes before the action of a command. */
async function understand(words: readonly string[], env: Env = {}): Promise<Understood> {
  const flags: GlobalFlags = {};
  const session = new Session(flags, env, new AbortController().signal);
  let command: CommandUnknownOpts | undefined;
  const program = await buildProgram(words, flags, () => {
    throw new Reached();
  });
  program.hook('preAction', (_, action) => {
    command = action;
    return session.begin(action);
  });
  const plain = expandSwitches(words, program, (name) => session.off.add(name));
  await program.parseAsync(plain, { from: 'user' }).catch((error: unknown) => {
    if (!(error instanceof Reached)) throw error;
  });
  return { flags, opts: command?.opts() ?? {}, session };
}

/** Profiles in a folder, and the environment in which they have names. */
function place(files: Readonly<Record<string, string>>): Disposable & { readonly path: string; readonly env: Env } {
  const dir = makeTempDir();
  const folder = join(dir.path, 'restic-engine');
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return { path: folder, env: { XDG_CONFIG_HOME: dir.path }, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

/** The text after the name of the file in the error. */
async function complaint(
  text: string,
  words: readonly string[] = ['backup', '/data'],
  name = 'p.toml',
): Promise<string> {
  using files = place({ [name]: text });
  const error = await understand(['-P', 'p', ...words], files.env).then(
    () => new Error('none'),
    (reason: unknown) => reason as Error,
  );
  expect(error.name).toBe('UsageError');
  return error.message.replace(join(files.path, name), 'p');
}

const TOML = `
[global]
repo = "/srv"
verbose = 2
option = ["s3.region=a", "s3.layout=default"]

[backup]
exclude = ["a", "b"]
exclude-caches = true
no-scan = true
exclude-larger-than = "1k"
tag = "x"
read-concurrency = 3
compression = "max"
time = 2024-01-01 10:00:00
skip-if-unchanged = false
group-by = ""
`;
const YAML = `
global:
  repo: /srv
  verbose: 2
  option: [s3.region=a, s3.layout=default]
backup:
  exclude:
    - a
    - b
  exclude-caches: true
  no-scan: true
  exclude-larger-than: 1k
  tag: x
  read-concurrency: 3
  compression: max
  time: 2024-01-01 10:00:00
  skip-if-unchanged: false
  group-by: ""
`;

describe('the flags of a profile', () => {
  it.each([
    ['p.toml', TOML],
    ['p.yaml', YAML],
    ['p.yml', `\ufeff${YAML}`],
  ])('are those of the command line: %s', async (name, text) => {
    using files = place({ [name]: text });
    const given = await understand(['-P', 'p', 'backup', '/data'], files.env);
    const words =
      '-r /srv -vv -o s3.region=a -o s3.layout=default --compression max backup /data -e a -e b --exclude-caches --no-scan --exclude-larger-than 1k --tag x --read-concurrency 3 --group-by';
    const wanted = await understand([...words.split(' '), '', '--time', '2024-01-01 10:00:00']);
    expect(given.opts).toEqual(wanted.opts);
    expect(given.flags).toEqual({ ...wanted.flags, profile: 'p' });
  });

  it('are named by the environment too, and by a path', async () => {
    using files = place({ 'p.toml': '[global]\nrepo = "/srv"', 'other.conf.toml': '[global]\nrepo = "/other"' });
    const named = await understand(['snapshots'], { ...files.env, RESTIC_ENGINE_PROFILE: 'p' });
    expect(named.flags.repo).toBe('/srv');
    const given = await understand(['snapshots', '-P', join(files.path, 'other.conf.toml')], {
      RESTIC_ENGINE_PROFILE: 'p',
    });
    expect(given.flags.repo).toBe('/other');
    expect((await understand(['snapshots'], files.env)).flags).toEqual({});
    const none = await understand(['snapshots', '-P', ''], { ...files.env, RESTIC_ENGINE_PROFILE: 'p' });
    expect(none.flags.repo).toBeUndefined();
  });

  it('count after the command line and the environment', async () => {
    using files = place({
      'p.toml':
        '[global]\nrepo = "/srv"\npassword-file = "/key"\nquiet = true\ncompression = "max"\npack-size = 32\n[backup]\nexclude = ["a"]\nhost = "h"\none-file-system = true',
    });
    const words = ['-P', 'p', '--password-command', 'c', '-v', 'backup', '/data', '-e', 'own'];
    const { flags, opts } = await understand(words, {
      ...files.env,
      RESTIC_REPOSITORY_FILE: '/file',
      RESTIC_COMPRESSION: 'off',
      RESTIC_PACK_SIZE: '',
      RESTIC_HOST: 'other',
    });
    expect(flags).toEqual({ profile: 'p', passwordCommand: 'c', verbose: 1, packSize: '32' });
    expect(opts).toMatchObject({ exclude: ['own'], oneFileSystem: true });
    expect(opts['host']).toBeUndefined();
    const off = await understand(['-P', 'p', '--quiet=false', 'backup', '/data', '--one-file-system=false'], files.env);
    expect(off.flags.quiet).toBeUndefined();
    expect(off.opts['oneFileSystem']).toBeUndefined();
    const byEnv = await understand(['-P', 'p', 'snapshots'], { ...files.env, RESTIC_PASSWORD: 'x' });
    expect(byEnv.flags.passwordFile).toBeUndefined();
  });

  it('of the command count before those of all', async () => {
    using files = place({
      'p.toml':
        '[global]\ncompression = "max"\nquiet = true\n[backup]\ncompression = "off"\nverbose = true\n[repair.packs]\nlimit-upload = 7\n[key.add]\nhost = "h"',
    });
    const { flags } = await understand(['-P', 'p', 'backup', '/data'], files.env);
    expect(flags).toEqual({ profile: 'p', compression: 'off', verbose: 1 });
    const inner = await understand(['-P', 'p', 'repair', 'packs', 'x'], files.env);
    expect(inner.flags).toEqual({ profile: 'p', compression: 'max', quiet: true, limitUpload: '7' });
    expect((await understand(['-P', 'p', 'key', 'add'], files.env)).opts).toMatchObject({ host: 'h' });
  });

  it('come from several profiles', async () => {
    using files = place({
      'p.toml': 'inherit = ["b", "c.yaml"]\n[backup]\nexclude = ["p"]\nexclude-caches = false\n[global]\nquiet = false',
      'b.toml': 'inherit = "a"\n[backup]\ntag = "b"\niexclude = ["b"]\n[global]\npassword-command = "b"',
      'a.toml': '[backup]\ntag = "a"\nexclude = ["a", "a2"]\n[global]\npassword-file = "a"\nquiet = true',
      'c.yaml': 'backup: { tag: c, exclude-caches: true }',
    });
    const { flags, opts } = await understand(['-P', 'p', 'backup', '/data'], files.env);
    expect(opts).toMatchObject({ tag: ['c'], exclude: ['p'], iexclude: ['b'] });
    expect(opts['excludeCaches']).toBeUndefined();
    // Both would be an error.
    expect(flags).toEqual({ profile: 'p', passwordCommand: 'b' });
    const { files: read } = await loadProfile('p', files.env);
    expect(read.map((file) => file.replace(`${files.path}/`, ''))).toEqual(['p.toml', 'c.yaml', 'b.toml', 'a.toml']);
  });

  it('go with variables that the environment does not have', async () => {
    using files = place({ 'p.toml': '[env]\nAWS_REGION = "p"\nAWS_PROFILE = "p"\nS3_TEST_NUMBER = 7' });
    const { session } = await understand(['-P', 'p', 'snapshots'], { ...files.env, AWS_REGION: 'e', AWS_PROFILE: '' });
    expect(session.env).toMatchObject({ AWS_REGION: 'e', AWS_PROFILE: 'p', S3_TEST_NUMBER: '7' });
    // Programs that are started have them, too.
    expect(process.env['S3_TEST_NUMBER']).toBe('7');
    delete process.env['S3_TEST_NUMBER'];
    delete process.env['AWS_PROFILE'];
  });

  it('leave commands alone that tell of the program', async () => {
    using files = place({ 'p.toml': 'nonsense = 1' });
    await expect(understand(['-P', 'p', 'options'], files.env)).resolves.toMatchObject({ flags: { profile: 'p' } });
    await expect(understand(['-P', 'p', 'snapshots'], files.env)).rejects.toThrow('nonsense');
  });
});

describe('a profile that is wrong', () => {
  it.each([
    ['[bakup]\n', 'p:1: unknown key "bakup", did you mean "backup"?'],
    ['[backup]\nexclud = ["a"]', 'p:2: unknown key "exclud", did you mean "exclude"?'],
    ['[backup]\n\nx = 1', 'p:3: unknown key "x"'],
    ['[global]\nexclude = ["a"]', 'p:2: unknown key "exclude"'],
    ['[global]\nprofile = "q"', 'p:2: unknown key "profile"'],
    ['[backup]\nexclude-caches = "yes"', 'p:2: "exclude-caches" must be true or false'],
    ['[global]\nverbose = 3', 'p:2: "verbose" must be true or false, or a level up to 2'],
    ['[backup]\nhost = ["a"]', 'p:2: "host" takes one value'],
    ['[backup]\nhost = true', 'p:2: "host" must be a text or a number'],
    ['[backup]\nexclude = ["a", ["b"]]', 'p:2: each of "exclude" must be a text or a number'],
    ['[backup]\nexclude-larger-than = "much"', 'p:2: "exclude-larger-than": invalid size'],
    ['[global]\nlimit-upload = "much"', 'p:2: --limit-upload: invalid rate'],
    ['[global]\ncompression = "much"', 'p:2: invalid value "much" for --compression'],
    ['backup = 1', 'p:1: "backup" must be a table'],
    ['a = 1\na = 2', 'p:2: Defining a key multiple times'],
    ['a = [', 'p:1: '],
    ['inherit = "p"', 'p:1: profiles inherit each other: p → p'],
    ['\ninherit = ["q"]', 'p:2: there is no profile "q" in '],
    ['[env]\nRESTIC_PASSWORD = "secret"', 'p:2: a password does not belong into a profile: use "password-file" or'],
    [
      '[env]\nRESTIC_FROM_PASSWORD = "s"',
      'p:2: a password does not belong into a profile: use "from-password-file" or',
    ],
    ['[env]\nRESTIC_REPOSITORY = "/srv"', 'p:2: instead of "RESTIC_REPOSITORY", write "repo" or "repository-file"'],
    ['[env]\n"A B" = "x"', 'p:2: "A B" cannot be the name of a variable'],
    ['[env]\nA = ["x"]', 'p:2: "A" must be a text or a number'],
    ['[hooks]\nrun-befor = []', 'p:2: unknown key "run-befor", did you mean "run-before"?'],
    ['[hooks]\nrun-before = "x"', 'p:2: "run-before" must be a list of commands'],
    ['[backup.hooks]\nrun-after = [[]]', 'p:2: "run-after" has a command without words'],
    ['[backup.hooks]\nrun-after = [["a", true]]', 'p:2: each word of "run-after" must be'],
    ['[backup]\nsources = "/data"', 'p:2: "sources" must be a list of tables'],
    ['[[backup.sources]]\nname = "x"', 'p:1: a source needs either'],
    ['[[backup.sources]]\npaths = ["a"]\nstdin-command = "b"', 'p:1: a source needs either'],
    ['[[backup.sources]]\npaths = ["a"]\ndry-run = true', 'p:3: "dry-run" is not for a single source'],
    ['[[backup.sources]]\npaths = ["a"]\ncompression = "max"', 'p:3: "compression" is not for a single source'],
    ['[[backup.sources]]\npaths = ["a"]\nexclud = ["x"]', 'p:3: unknown key "exclud", did you mean "exclude"?'],
    [
      '[[backup.sources]]\npaths = ["a"]\n[[backup.sources]]\npaths = ["a"]\nhost = "h"',
      'p:3: there is another source "a"',
    ],
  ])('%j', async (text, message) => {
    expect(await complaint(text)).toContain(message);
  });

  it.each([
    ['- a', 'p:1: a profile must be a table'],
    ['global:\n  repo: &r /srv\nbackup:\n  host: *r', 'p:4: aliases are not taken'],
    ['global:\n  repo:', 'p:2: the value is missing'],
    ['global: {', 'p:1: '],
    ['global:\n  repo: a\n  repo: b', 'p:3: Map keys must be unique'],
  ])('%j', async (text, message) => {
    expect(await complaint(text, undefined, 'p.yaml')).toContain(message);
  });

  it('in the table of another command does not keep this one, but is found by a look at all', async () => {
    using files = place({ 'p.toml': '[forget]\nkeep-dayly = 7' });
    const { env } = files;
    await understand(['-P', 'p', 'backup', '/data'], env);
    await expect(understand(['-P', 'p', 'forget'], env)).rejects.toThrow('keep-daily');
    const program = await buildProgram(['profile'], {}, () => expect.unreachable());
    const { root } = await loadProfile('p', env);
    expect(() => describeProfile(root, { command: program, flags: {}, off: new Set<string>(), env })).toThrow(
      'keep-daily',
    );
  });

  it('is not there', async () => {
    using files = place({ 'nightly.toml': '', 'nightly.yaml': 'x: [', README: '' });
    await expect(understand(['-P', 'nighly', 'snapshots'], files.env)).rejects.toThrow('did you mean "nightly"?');
    await expect(understand(['-P', './nightly', 'snapshots'], files.env)).rejects.toThrow('cannot read the profile');
    // TOML comes first.
    await understand(['-P', 'nightly', 'snapshots'], files.env);
  });

  it('inherits in a circle', async () => {
    using files = place({ 'a.toml': 'inherit = "b"', 'b.toml': '\ninherit = "c"', 'c.yaml': 'inherit: a' });
    await expect(understand(['-P', 'a', 'snapshots'], files.env)).rejects.toThrow(/c\.yaml:1: .*: a → b → c → a$/);
  });
});

describe('sources', () => {
  it('have flags of their own, of the command line, and of the command, in this order', async () => {
    using files = place({
      'p.toml': `
[backup]
exclude = ["all"]
tag = "all"
host = "all"
exclude-caches = true
no-scan = true
[[backup.sources]]
paths = "/one"
exclude = ["one"]
tag = "one"
exclude-caches = false
no-scan = false
[[backup.sources]]
name = "two"
stdin-command = ["pg_dump", "app"]
stdin-filename = "app.sql"
[[backup.sources]]
stdin-command = "pg_dump app | cat"
[[backup.sources]]
files-from = "list"`,
    });
    const { session, opts } = await understand(['-P', 'p', 'backup', '--tag', 'given'], files.env);
    const before = { ...opts };
    const seen = session.sources.map((source) => ({ ...source, flags: source.withFlags(() => ({ ...opts })) }));
    expect(seen).toMatchObject([
      {
        name: '/one',
        operands: ['/one'],
        flags: { exclude: ['one'], tag: ['given'], host: 'all', scan: true, excludeCaches: undefined },
      },
      {
        name: 'two',
        operands: ['pg_dump', 'app'],
        flags: { exclude: ['all'], stdinFilename: 'app.sql', scan: false, excludeCaches: true },
      },
      { name: 'stdin', operands: ['/bin/sh', '-c', 'pg_dump app | cat'], flags: { stdinFilename: 'stdin' } },
      { name: 'list', operands: [], flags: { filesFrom: ['list'] } },
    ]);
    expect(seen.map(({ isCommand }) => isCommand)).toEqual([false, true, true, false]);
    expect(opts).toEqual(before);
  });
});

describe('merge', () => {
  const origin = { file: 'f', line: 1 };
  const leaf = fc.integer({ min: 0, max: 3 }).map((value): Entry => ({ kind: 'scalar', value, origin }));
  const flags = fc.dictionary(fc.constantFrom('a', 'b'), leaf);
  const section = flags.map((members) => table(Object.entries(members), origin));
  /** A key is a table everywhere or nowhere. */
  const tables = fc.tuple(flags, fc.dictionary(fc.constantFrom('s', 't'), section)).map((members) =>
    table(
      members.flatMap((part): [string, Entry][] => Object.entries(part)),
      origin,
    ),
  );

  it('is the same in whatever order inherited profiles are joined', () => {
    fc.assert(
      fc.property(tables, tables, tables, (a, b, c) => {
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
        expect(merge(a, a)).toEqual(a);
        expect([...merge(a, b).members.keys()].toSorted()).toEqual(
          [...new Set([...a.members.keys(), ...b.members.keys()])].toSorted(),
        );
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });
});

describe('nearest', () => {
  it.each([
    ['reop', 'repo'],
    ['exclude-cache', 'exclude-caches'],
    ['tags', 'tag'],
    ['zzz', undefined],
    ['q', undefined],
  ])('%s: %s', (word, found) => {
    expect(nearest(word, ['exclude', 'exclude-caches', 'repo', 'tag'])).toBe(found);
  });
});
