import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeBackend } from '../../src/conformance/index.ts';
import { STATUS, TYPE } from '../../src/sftp/protocol/packet.ts';
import type { PacketReader } from '../../src/sftp/protocol/packet.ts';
import { fakeBackend, OPENSSH, packet, status } from './server.ts';
import type { Answer, ServerOptions } from './server.ts';

const suite = { describe, it };
const TRAITS = { connections: 5, atomicReplace: true, listAfterWrite: true, canRemove: true };

describeBackend(suite, 'sftp', async () => (await fakeBackend()).backend, { traits: TRAITS });
describeBackend(
  suite,
  'sftp without extensions, with small answers and without sizes',
  async () => (await fakeBackend({ extensions: {}, maxRead: 5000, listing: 'no size' })).backend,
  { traits: { ...TRAITS, atomicReplace: false } },
);

const NAME = 'ab'.repeat(32);
const FILE = { type: 'data', name: NAME } as const;
const CONTENT = randomBytes(300_000);

/** A backend whose server meddles once everything is set up. */
async function meddler(meddle: NonNullable<ServerOptions['meddle']>, options: ServerOptions = {}, stuckMs?: number) {
  let armed = false;
  const fake = await fakeBackend({ ...options, meddle: (...given) => (armed ? meddle(...given) : 'go on') }, stuckMs);
  await fake.backend.create();
  await fake.backend.save(FILE, [CONTENT]);
  armed = true;
  return fake;
}

const on =
  (wanted: number, answer: (id: number, body: PacketReader) => Answer) =>
  (type: number, id: number, body: PacketReader): Answer | 'go on' =>
    type === wanted ? answer(id, body) : 'go on';

const names = (...entries: string[]) => entries.flatMap((name) => [name, name, 0]);

describe('a server that breaks the protocol', () => {
  it.each<[string, (id: number) => Buffer]>([
    ['more content than was asked for', (id) => packet(TYPE.DATA, id, Buffer.alloc(200_001))],
    ['no content', (id) => packet(TYPE.DATA, id, Buffer.alloc(0))],
    ['content for nobody', (id) => packet(TYPE.DATA, id + 1000, Buffer.alloc(10))],
    ['a packet of 4 GiB', () => Buffer.from('ffffffff6700000001ffffffff', 'hex')],
    ['an answer of 1 GiB', () => Buffer.from('400000006800000001', 'hex')],
    ['a packet shorter than its head', () => Buffer.from('000000016500000000', 'hex')],
    ['content of another length than its packet', () => Buffer.from('0000000c670000000100000004', 'hex')],
    ['success without content', (id) => status(id, STATUS.OK)],
    ['another kind of answer', (id) => packet(TYPE.ATTRS, id, 0)],
    ['an unknown kind of answer', (id) => packet(77, id, 0)],
    ['a cut status', (id) => packet(TYPE.STATUS, id)],
    ['a second greeting', () => packet(TYPE.VERSION, 3)],
    ['noise', () => Buffer.concat([Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), randomBytes(500)])],
  ])('with %s', async (_, answer) => {
    await using backend = (await meddler(on(TYPE.READ, answer))).backend;
    const loading = backend.load(FILE, { offset: 0, length: 200_000 });
    await expect(loading).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('with a count of names that no packet holds', async () => {
    await using backend = (await meddler(on(TYPE.READDIR, (id) => packet(TYPE.NAME, id, 0xffffffff)))).backend;
    await expect(Array.fromAsync(backend.list('lock'))).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('with parts of a folder in which nothing is', async () => {
    await using backend = (await meddler(on(TYPE.READDIR, (id) => packet(TYPE.NAME, id, 0)))).backend;
    await expect(Array.fromAsync(backend.list('lock'))).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('with a folder that has no end', async () => {
    const page = Array.from({ length: 5000 }, (_, index) => `x${index}`);
    const meddle = on(TYPE.READDIR, (id) => packet(TYPE.NAME, id, page.length, ...names(...page)));
    await using backend = (await meddler(meddle)).backend;
    await expect(Array.fromAsync(backend.list('lock'))).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('with names that lead elsewhere', async () => {
    const evil = ['..', '.', '', '/etc/passwd', `../${NAME}`, `${NAME}/..`, `${NAME}\0`, NAME.toUpperCase(), '../../x'];
    let served = false;
    const meddle = on(TYPE.READDIR, (id) => {
      if (served) return status(id, STATUS.EOF);
      served = true;
      return packet(TYPE.NAME, id, evil.length + 1, ...names(...evil), NAME, NAME, 1, 5n);
    });
    await using backend = (await meddler(meddle)).backend;
    expect(await Array.fromAsync(backend.list('lock'))).toEqual([{ name: NAME, size: 5 }]);
  });

  it('with a file of 8 EiB', async () => {
    const meddle = on(TYPE.STAT, (id) => packet(TYPE.ATTRS, id, 1, 2n ** 63n));
    await using backend = (await meddler(meddle)).backend;
    await expect(backend.stat(FILE)).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('with a file too large to be read whole', async () => {
    const meddle = on(TYPE.STAT, (id) => packet(TYPE.ATTRS, id, 1, 2n ** 45n));
    await using backend = (await meddler(meddle)).backend;
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'too-large' });
  });

  it('with an old version', async () => {
    const { backend } = await fakeBackend({ meddle: on(TYPE.INIT, () => packet(TYPE.VERSION, 2)) });
    await using fake = backend;
    await expect(fake.stat(FILE)).rejects.toMatchObject({ code: 'corrupt' });
  });
});

describe('a server in trouble', () => {
  it.each([
    [STATUS.NO_SUCH_FILE, 'not-found'],
    [STATUS.PERMISSION_DENIED, 'denied'],
    [STATUS.FAILURE, 'io'],
    [STATUS.NO_SPACE, 'no-space'],
    [STATUS.QUOTA_EXCEEDED, 'no-space'],
    [STATUS.WRITE_PROTECT, 'denied'],
    [STATUS.OP_UNSUPPORTED, 'unsupported'],
    [4711, 'io'],
  ])('answers %i: %s', async (code, expected) => {
    await using backend = (
      await meddler(
        on(TYPE.RENAME, (id) => status(id, code)),
        { extensions: {} },
      )
    ).backend;
    const saving = backend.save({ type: 'lock', name: NAME }, [CONTENT]);
    await expect(saving).rejects.toMatchObject({ code: expected, message: expect.stringContaining('because') });
  });

  it('has no space left, which only its statistics tell', async () => {
    const full = packet.bind(undefined, TYPE.EXTENDED_REPLY);
    const meddle: ServerOptions['meddle'] = (type, id, body) => {
      if (type === TYPE.WRITE) return status(id, STATUS.FAILURE, 'Failure');
      if (type !== TYPE.EXTENDED || body.text() !== 'statvfs@openssh.com') return 'go on';
      return full(id, ...[4096, 4096, 1000, 9, 3, 1, 1, 1, 1, 0, 255].map(BigInt));
    };
    const { backend, folder } = await meddler(meddle);
    await using fake = backend;
    const saving = fake.save({ type: 'lock', name: NAME }, [CONTENT]);
    await expect(saving).rejects.toMatchObject({ code: 'no-space' });
    expect(await readdir(join(folder, 'repo/locks'))).toEqual([]);
  });

  it('says nothing any more', async () => {
    await using backend = (
      await meddler(
        on(TYPE.STAT, () => 'silence'),
        {},
        200,
      )
    ).backend;
    await expect(backend.stat(FILE)).rejects.toMatchObject({ code: 'io' });
  });

  it('goes away in the middle of everything, and is there again', async () => {
    let left = 30;
    const { backend } = await meddler((type) => (type === TYPE.WRITE && (left -= 1) === 0 ? 'hang up' : 'go on'));
    await using fake = backend;
    const saves = Array.from({ length: 20 }, (_, index) =>
      fake.save({ type: 'index', name: index.toString(16).padStart(64, '0') }, [randomBytes(1_000_000)]),
    );
    const results = await Promise.allSettled(saves);
    const failures = results.filter((each) => each.status === 'rejected');
    expect(failures.length).toBeGreaterThan(0);
    for (const { reason } of failures) expect(reason).toMatchObject({ code: 'io', message: 'the line broke' });
    const listed = await Array.fromAsync(fake.list('index'));
    expect(listed.length).toBeGreaterThanOrEqual(20 - failures.length);
    for (const { size } of listed) expect(size).toBe(1_000_000);
    expect((await fake.load(FILE)).length).toBe(CONTENT.length);
  });

  it('gives one session only', async () => {
    let sessions = 0;
    await using backend = (
      await fakeBackend({
        meddle: (type) => (type === TYPE.INIT && (sessions += 1) > 1 ? 'hang up' : 'go on'),
      })
    ).backend;
    await backend.create();
    const contents = Array.from({ length: 6 }, () => randomBytes(2_000_000));
    await Promise.all(
      contents.map((content, index) => backend.save({ type: 'data', name: `${index}`.repeat(64) }, [content])),
    );
    expect(sessions).toBeGreaterThan(1);
    expect(await Array.fromAsync(backend.list('data'))).toHaveLength(6);
  });
});

describe('a repository', () => {
  it('takes its turn on a limited line, piece by piece', async () => {
    const taken = { upload: [] as number[], download: [] as number[] };
    const take = (direction: 'upload' | 'download') => async (bytes: number) => void taken[direction].push(bytes);
    const line = { limitsUpload: true, limitsDownload: true, upload: take('upload'), download: take('download') };
    await using backend = (await fakeBackend({}, 5000, line)).backend;
    await backend.save(FILE, [CONTENT]);
    await backend.load(FILE);
    for (const pieces of [taken.upload, taken.download]) {
      expect(pieces.reduce((sum, bytes) => sum + bytes, 0)).toBe(CONTENT.length);
      expect(Math.max(...pieces)).toBe(32 * 1024);
    }
  });

  it('whose folders are missing gets them when they are needed', async () => {
    const { backend, folder } = await fakeBackend();
    await using fake = backend;
    await fake.save(FILE, [CONTENT]);
    expect(await readdir(join(folder, 'repo/data/ab'))).toEqual([NAME]);
  });

  it('loads a file whole that is replaced while it is read', async () => {
    let size = 10n;
    const meddle = on(TYPE.STAT, (id) => packet(TYPE.ATTRS, id, 1, (size += 100_000n)));
    await using backend = (await meddler(meddle)).backend;
    expect(Buffer.compare(await backend.load(FILE), CONTENT)).toBe(0);
  });

  it('is read past the size that a server tells, when a server tells none for folders', async () => {
    await using backend = (await fakeBackend({ listing: 'no attributes', extensions: OPENSSH })).backend;
    await backend.create();
    await backend.save(FILE, [CONTENT]);
    expect(await Array.fromAsync(backend.list('data'))).toEqual([{ name: NAME, size: CONTENT.length }]);
  });
});
