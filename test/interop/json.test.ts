import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { startCli } from '../support/cli.ts';
import { initAt, openAt } from '../support/repository.ts';
import { resticAt, resticCommand } from '../support/restic.ts';
import type { Message } from '../support/restic.ts';
import { SCHEMAS } from '../support/schemas.ts';
import type { Schema } from '../support/schemas.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { createWitness } from '../support/witness.ts';
import type { Witness } from '../support/witness.ts';

// What both programs print with --json, in many situations, is what the schemas say; and nothing else would be.

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
/** So that progress is told, however fast the machine is. */
const OFTEN = { RESTIC_PROGRESS_FPS: '60' };
const SLOWLY = ['--limit-upload', '200', '--limit-download', '200'];

/** Warnings take a machine that cannot keep something; sources take a profile. */
const UNSEEN = ['backup source', 'errors source_error', 'errors warning'];

type At = (name: string) => string;

/** A folder with all kinds of entries, changed when called again. */
function makeData(at: At, extra = ''): void {
  mkdirSync(at('data/sub'), { recursive: true });
  writeFileSync(at('data/a.txt'), `hello${extra}\n`);
  writeFileSync(at(`data/new${extra}`), 'new');
  writeFileSync(at('data/sub/b.bin'), Buffer.alloc(400_000, Math.random().toString()));
  writeFileSync(Buffer.concat([Buffer.from(at('data/sub/')), Buffer.from([0x66, 0xff, 0x0a])]), 'x');
  if (extra === '') symlinkSync('nowhere', at('data/link'));
}

async function tellBackups({ judge }: Teller, at: At): Promise<void> {
  await judge('version', ['version']);
  await judge('init', ['init'], { repo: 'fresh' });
  await judge('init', ['init'], { repo: 'fresh', status: 1 });
  await judge('snapshots', ['snapshots'], { repo: 'nothing', status: 10 });
  await judge('snapshots', ['snapshots']);
  await judge('snapshots', ['snapshots', '--password-command', 'echo wrong'], { status: 12 });
  makeData(at);
  await judge('backup', ['backup', at('data'), '-v', '--tag', 'one,two', ...SLOWLY]);
  makeData(at, '2');
  await judge('backup', ['backup', at('data'), '--dry-run', '-vv']);
  await judge('backup', ['backup', at('data'), at('missing'), '-v', '--host', 'other'], { status: 3 });
  await judge('backup', ['backup', at('missing')], { status: 1 });
  await judge('backup', ['backup', '--stdin-from-command', '--', 'true'], { status: 3 });
  await judge('backup', ['backup', '--stdin-from-command', '--stdin-filename', 'in', '--', 'echo', 'hi']);
}

async function tellLooks({ judge: judgeLocked, ids }: Teller): Promise<void> {
  const judge: Teller['judge'] = (schema, words, options) => judgeLocked(schema, ['--no-lock', ...words], options);
  const [first = '', second = ''] = await ids('snapshots');
  for (const words of [[], ['--group-by', 'host,paths,tags'], ['--latest', '1'], ['--host', 'nobody'], ['12345678']]) {
    await judge('snapshots', ['snapshots', ...words]);
  }
  await judge('ls', ['ls', first]);
  await judge('ls', ['ls', 'latest', '--host', 'nobody'], { status: 1 });
  for (const words of [
    [first, second],
    [second, first, '-q', '--metadata'],
  ])
    await judge('diff', ['diff', ...words]);
  await judge('diff', ['diff', 'nope', first], { status: 1 });
  for (const mode of ['restore-size', 'raw-data', 'files-by-contents', 'blobs-per-file']) {
    await judge('stats', ['stats', '--mode', mode]);
  }
  await judge('stats', ['stats', '--host', 'nobody']);
  const blobs = (await judge('list', ['list', 'blobs'])) as string[];
  const idOf = (type: string): string => blobs.find((line) => line.startsWith(type))?.slice(5) ?? '';
  const [pack = ''] = await ids('packs');
  for (const words of [['*'], ['nope'], ['--blob', idOf('data ')], ['--tree', idOf('tree ')], ['--pack', pack]]) {
    await judge('find', ['find', ...words]);
  }
  for (const kind of ['index', 'keys', 'locks']) await judge('list', ['list', kind]);
  await judge('cat', ['cat', 'config']);
  await judge('cat', ['cat', 'masterkey']);
  await judge('cat', ['cat', 'snapshot', first]);
  await judge('cat', ['cat', 'tree', `${first}:/`]);
  for (const kind of ['index', 'key']) {
    const [id = ''] = await ids(kind === 'key' ? 'keys' : kind);
    await judge('cat', ['cat', kind, id]);
  }
  await judge('cat', ['cat', 'nope'], { status: 1 });
  await judge('check', ['check']);
  await judge('cache', ['cache']);
  await judge('features', ['features']);
  await judge('options', ['options']);
}

async function tellRestores({ judge }: Teller, at: At): Promise<void> {
  const target = (name: string): string[] => ['--target', at(name)];
  await judge('restore', ['restore', 'latest', '--host', 'other', ...target('out'), ...SLOWLY]);
  writeFileSync(at('out/extra'), '');
  for (const words of [
    ['--dry-run', '-vv', '--delete'],
    ['--delete', '-vv', '--verify'],
  ]) {
    await judge('restore', ['restore', 'latest', '--host', 'other', ...target('out'), ...words]);
  }
  await judge('restore', ['restore', 'nope', ...target('none')], { status: 1 });
  mkdirSync(join(at('in the way'), at('data/a.txt/full')), { recursive: true });
  await judge('restore', ['restore', 'latest', '--host', 'other', ...target('in the way')], { status: 1 });
}

async function tellKeys({ judge }: Teller, at: At): Promise<void> {
  await judge('key-list', ['key', 'list']);
  writeFileSync(at('new'), 'another one\n');
  const [line] = (await judge('key-add', ['key', 'add', '--new-password-file', at('new'), '--user', 'u'])) as string[];
  await judge('key-remove', ['key', 'remove', line?.slice(-64) ?? '']);
  await judge('key-remove', ['key', 'remove', '12345678'], { status: 1 });
  writeFileSync(at('same'), 'correct horse battery staple\n');
  await judge('key-passwd', ['key', 'passwd', '--new-password-file', at('same')]);
}

/** A lock of this process keeps others out; one of a process that has ended is removed. */
async function tellLocks({ judge, ids }: Teller, at: At): Promise<void> {
  const repository = await openAt(at('repo'), { workers: 0 });
  // Other programs write more into snapshots than is told.
  const [[latest]] = (await judge('snapshots', ['snapshots', '--latest', '1'])) as [[Message]];
  const foreign = { ...latest, id: undefined, short_id: undefined, hostname: 'foreign', label: 'x' };
  await repository.saveFile('snapshot', Buffer.from(JSON.stringify(foreign)));
  await judge('snapshots', ['snapshots', '--host', 'foreign']);
  const lock = await repository.lock({ exclusive: true });
  const [id = ''] = await ids('locks');
  await judge('cat', ['cat', 'lock', id, '--no-lock']);
  await judge('snapshots', ['snapshots'], { status: 11 });
  await judge('unlock', ['unlock', '--remove-all']);
  await lock[Symbol.asyncDispose]();
  await repository[Symbol.asyncDispose]();
}

async function tellChanges({ judge, ids }: Teller, at: At): Promise<void> {
  await judge('tag', ['tag', '--add', 'three', 'latest']);
  await judge('tag', ['tag', '--add', 'three', 'latest']);
  await judge('tag', ['tag', '--add', 'three', '12345678']);
  const words = ['--from-repo', at('repo'), '--from-password-file', at('same')];
  for (const _time of [1, 2]) await judge('copy', ['copy', 'latest', ...words], { repo: 'fresh' });
  await judge('rewrite', ['rewrite', '--exclude', 'a.txt', '--dry-run', 'latest', '--host', 'other']);
  await judge('rewrite', ['rewrite', '--exclude', 'a.txt', '--host', 'other', '--forget']);
  await judge('migrate', ['migrate']);
  const [first = ''] = await ids('snapshots');
  for (const flags of [
    ['--keep-last', '1', '--group-by', '', '--dry-run', '--prune'],
    ['--keep-last', '1', '--group-by', 'tags'],
    ['--keep-tag', 'three', '--group-by', ''],
    ['--keep-last', '1', '--host', 'nobody'],
    [first],
    ['12345678'],
  ]) {
    await judge('forget', ['forget', ...flags]);
  }
  await judge('prune', ['prune', '--dry-run']);
  await judge('prune', ['prune']);
}

/** Commands and flags that restic does not have. */
async function tellOurs({ judge }: Teller, at: At): Promise<void> {
  await judge('prune', ['prune', '--lock-free']);
  await judge('check', ['check', '--read-data', '--resume']);
  await initAt(at('old'), { version: 1 });
  await judge('migrate', ['migrate'], { repo: 'old' });
  await judge('migrate', ['migrate', 'upgrade_repo_v2'], { repo: 'old' });
  await judge('generate', ['generate', '--bash-completion', '-']);
  mkdirSync(at('profiles'));
  writeFileSync(at('profiles/base.toml'), '[env]\nTMPDIR = "/tmp"\n');
  writeFileSync(at('profiles/p.toml'), 'inherit = "base"\n[backup]\nexclude = ["a", "b"]\nforce = true\n');
  await judge('profile', ['profile', at('profiles/p.toml')]);
  await judge('profile-list', ['profile', 'list']);
  await judge('check-backend', ['check-backend', at('place')]);
}

/** The last things told of a repository: it is damaged in three ways. */
async function tellDamage({ judge, ids }: Teller, at: At): Promise<void> {
  await judge('backup', ['backup', at('data')]);
  for (const pack of await ids('packs')) truncateSync(at(`repo/data/${pack.slice(0, 2)}/${pack}`), 200);
  await judge('check', ['check', '--read-data'], { status: 1 });
  await judge('repair-packs', ['repair', 'packs'], { status: 1 });
}

/** Mends what {@link tellDamage} left. */
async function tellRepairs({ judge, ids }: Teller): Promise<void> {
  await judge('repair-packs', ['repair', 'packs', ...(await ids('packs'))]);
  await judge('repair-index', ['repair', 'index', '--read-all-packs']);
  await judge('repair-snapshots', ['repair', 'snapshots', '--dry-run']);
  await judge('repair-snapshots', ['repair', 'snapshots', '--forget']);
  await judge('recover', ['recover']);
}

/** Servers say where they are, and go on until they are told to end. */
async function tellServer(witness: Witness, schema: string, words: readonly string[], at: At): Promise<void> {
  const { args, env } = resticCommand(['--json', ...words], { repo: at('fresh') });
  const child = spawn(process.execPath, ['--conditions=@restic-engine/source', MAIN, ...args], { env });
  let stdout = '';
  for await (const chunk of child.stdout) {
    stdout += String(chunk);
    child.kill();
  }
  witness.look(schema, stdout);
}

/** Every message that a schema knows, as `schema message_type`. */
function knownKinds(): string[] {
  return [...SCHEMAS].flatMap(([name, schema]) => {
    if (name === 'common' || schema['x-output'] === 'bytes') return [];
    const kinds = messageTypes(schema);
    return kinds.length === 0 ? [name] : kinds.map((kind) => `${name} ${kind}`);
  });
}

function messageTypes(schema: Schema): string[] {
  const [, name] = /^common\.schema\.json#\/\$defs\/(\w+)$/.exec(String(schema['$ref'])) ?? [];
  if (name !== undefined) {
    const defs = SCHEMAS.get('common')?.['$defs'] as Readonly<Record<string, Schema>>;
    return messageTypes(defs[name] ?? {});
  }
  const type = schema.properties?.['message_type']?.['const'];
  if (typeof type === 'string') return [type];
  return ((schema['anyOf'] ?? []) as readonly Schema[]).flatMap(messageTypes);
}

interface Teller {
  judge: Witness['judge'];
  /** Lists the objects of a kind. */
  ids(kind: string): Promise<string[]>;
}

async function tellAll(witness: Witness, at: At): Promise<Teller> {
  await initAt(at('repo'));
  const judge: Witness['judge'] = (...args) => witness.judge(...args);
  const ids = async (kind: string): Promise<string[]> => (await judge('list', ['list', kind, '--no-lock'])) as string[];
  const teller = { judge, ids };
  await tellBackups(teller, at);
  await tellLooks(teller);
  await tellRestores(teller, at);
  await tellKeys(teller, at);
  await tellLocks(teller, at);
  await tellChanges(teller, at);
  return teller;
}

it('ours prints what the schemas say, and every message they know', { timeout: 300_000 }, async () => {
  using dir = makeTempDir();
  const at: At = (name) => join(dir.path, name);
  // Repairs leave copies in the current folder.
  mkdirSync(at('copies'));
  using cli = startCli({ repo: at('repo'), cache: at('cache'), env: OFTEN, cwd: at('copies') });
  const witness = createWitness('ours', (words, repo) => cli.run(words, { repo: at(repo) }));
  const teller = await tellAll(witness, at);
  await tellOurs(teller, at);
  await tellServer(witness, 'mount', ['mount'], at);
  await tellServer(witness, 'serve', ['serve', '--no-auth', '--listen', '127.0.0.1:0'], at);
  await tellDamage(teller, at);
  await tellRepairs(teller);
  const unseen = knownKinds().filter((kind) => !witness.kinds().has(kind));
  expect(unseen).toEqual(UNSEEN);
  expect(witness.mutate()).toBeGreaterThan(1000);
});

await describeWithPeer('restic', 'with --json', (peer) => {
  it('restic prints what the schemas say', { timeout: 300_000 }, async () => {
    using dir = makeTempDir();
    const at: At = (name) => join(dir.path, name);
    const witness = createWitness('restic', (words, repo) =>
      resticAt(peer, { repo: at(repo), cache: at('cache'), env: OFTEN }).run(words),
    );
    await tellDamage(await tellAll(witness, at), at);
    expect(witness.mutate()).toBeGreaterThan(500);
  });
});
