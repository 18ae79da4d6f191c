import { createHash } from 'node:crypto';
import { Argument, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { IndexedRepository, Repository } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { loadIndex, withLockedRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { snapshotJson } from '../render/snapshot.ts';

const KINDS = ['config', 'index', 'snapshot', 'key', 'masterkey', 'lock', 'pack', 'blob', 'tree'] as const;
type Kind = (typeof KINDS)[number];

interface Request {
  readonly kind: Kind;
  readonly id: string;
}

interface Opened {
  readonly context: Context;
  readonly repository: Repository;
  readonly engine: Engine;
  readonly signal: AbortSignal;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Print a snapshot', words: '-r /srv/backups cat snapshot latest' },
    { purpose: 'Print a folder of it', words: '-r /srv/backups cat tree latest:/home/ann' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineCat(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('cat'), MANUAL)
    .description('Print internal objects to stdout.')
    .usage('[options] [masterkey|config|pack ID|blob ID|snapshot ID|index ID|key ID|lock ID|tree snapshot:subfolder]')
    .addArgument(new Argument('[type]').choices(KINDS).argParser(String))
    .argument('[ID]')
    .allowExcessArguments()
    .action(async (type, id) => {
      const context = start();
      const request = parseRequest(type, id);
      await withLockedRepository(context, async (repository, engine, signal) => {
        const bytes = await load({ context, repository, engine, signal }, request);
        await context.ui.bytes(bytes);
        if (request.kind !== 'pack' && request.kind !== 'blob') context.ui.line('');
      });
    });
}

function parseRequest(type: string | undefined, id: string | undefined): Request {
  if (type === undefined) throw new Fatal('type not specified');
  const kind = KINDS.find((name) => name === type);
  if (kind === undefined) throw new Fatal(`invalid type "${type}", must be one of [${KINDS.join('|')}]`);
  const needsId = kind !== 'config' && kind !== 'masterkey';
  if (needsId && id === undefined) throw new Fatal('ID not specified');
  return { kind, id: id ?? '' };
}

async function load(opened: Opened, { kind, id }: Request): Promise<Uint8Array> {
  const { context, repository, engine, signal } = opened;
  switch (kind) {
    case 'config': {
      const { version, id: repositoryId, chunkerPolynomial } = repository.config;
      return indented({ version, id: repositoryId, chunker_polynomial: chunkerPolynomial });
    }
    case 'masterkey': {
      const { mac, encrypt } = repository.masterKey;
      return indented({ mac: { k: base64(mac.k), r: base64(mac.r) }, encrypt: base64(encrypt) });
    }
    case 'key':
      return indented(
        JSON.parse(
          text(await repository.backend.load({ type: 'key', name: fullId(engine, id) }, undefined, { signal })),
        ),
      );
    case 'lock':
      return indented(JSON.parse(text(await repository.loadFile('lock', fullId(engine, id), { signal }))));
    case 'index':
      return repository.loadFile('index', fullId(engine, id), { signal });
    case 'pack':
      return loadPack(opened, fullId(engine, id));
    case 'snapshot': {
      const { snapshot } = await engine.findSnapshot(repository, id, { signal });
      return indented(JSON.parse(snapshotJson(engine, snapshot)));
    }
    case 'blob':
      return loadBlob(await loadIndex(context, repository, signal), fullId(engine, id), signal);
    case 'tree': {
      const { snapshot, subfolder } = await engine.findSnapshot(repository, id, { signal });
      const indexed = await loadIndex(context, repository, signal);
      const tree = await engine.findTree(indexed, snapshot.tree, subfolder, { signal });
      return withoutNewline(await indexed.loadTreeBytes(tree, { signal }));
    }
  }
}

/** Bytes as they are stored; a pack that is not what its name says is shown nevertheless. */
async function loadPack({ context, repository, signal }: Opened, id: string): Promise<Uint8Array> {
  const bytes = await repository.backend.load({ type: 'data', name: id }, undefined, { signal });
  if (createHash('sha256').update(bytes).digest('hex') !== id)
    context.ui.warn(`Warning: hash of data does not match ID, want ${id}`);
  return bytes;
}

async function loadBlob(indexed: IndexedRepository, id: string, signal: AbortSignal): Promise<Uint8Array> {
  for (const type of ['data', 'tree'] as const) {
    if (indexed.has(type, id)) return indexed.loadBlob(type, id, { signal });
  }
  throw new Fatal('blob not found');
}

function fullId(engine: Engine, text: string): string {
  if (!engine.isId(text)) throw new Fatal(`unable to parse ID: "${text}" is not an ID of 64 hex digits`);
  return text;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function indented(value: unknown): Uint8Array {
  const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  // As Go writes JSON.
  return Buffer.from(JSON.stringify(value, null, 2).replaceAll(/[<>&\u2028\u2029]/g, escaped));
}

/** Trees end with a newline of their own. */
function withoutNewline(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
}
