import type { ServerResponse } from 'node:http';
import { EngineError } from 'restic-engine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONFIG_MAP } from '../../src/objects/kinds.ts';
import { answer, startStandIn, statusOf } from './stand-in.ts';

/** A list that changes and expires while it is read. */
interface Server {
  names: string[];
  /** Ask for so many pages and the view is gone, with all tokens for it. */
  expires: Set<number>;
  view: number;
  /** Does it offer to go on in the list as it is now? */
  offers: boolean;
  pages: number;
  /** What happens before a page is answered. */
  change: (page: number) => void;
}

const item = (name: string, padding = '') => ({ metadata: { name, namespace: 'che' }, data: { padding } });

/** Answers as the API does: in order of names; a token says which name was the last, and of which view. */
function page(server: Server, url: string, response: ServerResponse): void {
  const query = new URL(url, 'http://x').searchParams;
  const number = server.pages++;
  server.change(number);
  const token = query.get('continue');
  if (server.expires.has(number)) server.view++;
  const [after = '', view] = (token ?? '').split('@');
  if (token !== null && view !== String(server.view)) {
    const metadata = server.offers ? { continue: `${after}@${server.view}` } : {};
    answer(response, 410, { ...statusOf(410, 'Expired'), metadata });
    return;
  }
  const limit = Number(query.get('limit'));
  const rest = server.names.filter((name) => name > after).toSorted();
  const some = rest.slice(0, Math.min(limit, 3));
  const next = some.length < rest.length ? some.at(-1) : '';
  const metadata = { continue: next && `${next}@${server.view}`, resourceVersion: String(number) };
  answer(response, 200, { metadata, items: some.map((name) => item(name)) });
}

const name = fc.stringMatching(/^[a-z]{1,3}$/);

describe('a list in pages', () => {
  it('has each object once, whatever expires and changes while it is read', async () => {
    let state: Server = { names: [], expires: new Set(), view: 0, offers: true, pages: 0, change: () => undefined };
    await using stand = await startStandIn((request, response) => page(state, request.url ?? '', response));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(name, { maxLength: 25 }),
        fc.uniqueArray(name, { maxLength: 12 }),
        fc.uniqueArray(fc.nat(12), { maxLength: 6 }),
        fc.boolean(),
        async (names, moving, expires, offers) => {
          const constant = names.filter((each) => !moving.includes(each));
          state = {
            names: [...names],
            expires: new Set(expires),
            view: 0,
            offers,
            pages: 0,
            change(number) {
              const each = moving[number];
              if (each === undefined) return;
              if (state.names.includes(each)) state.names = state.names.filter((other) => other !== each);
              else state.names.push(each);
            },
          };
          const versions: string[] = [];
          const onVersion = (version: string): void => void versions.push(version);
          const listed = await Array.fromAsync(stand.cluster.list(CONFIG_MAP, { onVersion }));
          expect(versions).toEqual(['0']);
          const got = listed.map(({ metadata }) => metadata.name);
          expect(new Set(got).size).toBe(got.length);
          expect(got).toEqual(expect.arrayContaining(constant));
          expect([...constant, ...moving]).toEqual(expect.arrayContaining(got));
          expect(listed.every(({ kind, apiVersion }) => kind === 'ConfigMap' && apiVersion === 'v1')).toBe(true);
        },
      ),
      { interruptAfterTimeLimit: 2500, markInterruptAsFailure: false, numRuns: 300 },
    );
  });

  it('goes on where the API offers to, and begins again where it does not', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    for (const offers of [true, false]) {
      const state: Server = { names, expires: new Set([1]), view: 0, offers, pages: 0, change: () => undefined };
      await using stand = await startStandIn((request, response) => page(state, request.url ?? '', response));
      const listed = await Array.fromAsync(stand.cluster.list(CONFIG_MAP));
      expect(listed.map(({ metadata }) => metadata.name)).toEqual(names);
      const tokens = stand.requests.map((each) => new URLSearchParams(each.split('?')[1]).get('continue'));
      expect(tokens).toEqual(offers ? [null, 'c@0', 'c@1', 'f@1'] : [null, 'c@0', null, 'c@1', 'f@1']);
    }
  });

  it('ends when it expires again and again', async () => {
    await using server = await startStandIn((_, response) => answer(response, 410, statusOf(410, 'Expired')));
    await expect(Array.fromAsync(server.cluster.list(CONFIG_MAP))).rejects.toMatchObject({ code: 'conflict' });
    expect(server.requests).toHaveLength(21);
  });

  it('asks for fewer objects where they are large, from where it was', async () => {
    const names = Array.from({ length: 14 }, (_, i) => `o${String(i).padStart(2, '0')}`);
    const large = Buffer.from(`","data":{"x":"${' '.repeat(6 * 1024 * 1024)}"}}`.replace('","', '"},"'));
    await using server = await startStandIn((request, response) => {
      const query = new URL(request.url ?? '', 'http://x').searchParams;
      const after = query.get('continue') ?? '';
      const rest = names.filter((each) => each > after);
      // The first page is of small objects.
      const some = after === '' ? rest.slice(0, 2) : rest.slice(0, Number(query.get('limit')));
      const next = some.length < rest.length ? some.at(-1) : '';
      if (after === '') {
        answer(response, 200, { metadata: { continue: next }, items: some.map((each) => item(each)) });
        return;
      }
      response.write(`{"metadata":{"continue":"${next}"},"items":[`);
      for (const [i, each] of some.entries()) {
        response.write(`${i === 0 ? '' : ','}{"metadata":{"name":"${each}`);
        response.write(large);
      }
      response.end(']}');
    });
    const got: string[] = [];
    for await (const { metadata } of server.cluster.list(CONFIG_MAP)) got.push(metadata.name);
    expect(got).toEqual(names);
    const limits = server.requests.map((each) => new URLSearchParams(each.split('?')[1]).get('limit'));
    expect(limits).toEqual(['500', '500', '63', '8', '8']);
  });

  it('takes a list of nothing that Go writes as null', async () => {
    await using server = await startStandIn((_, response) => answer(response, 200, { metadata: {}, items: null }));
    expect(await Array.fromAsync(server.cluster.list(CONFIG_MAP))).toEqual([]);
  });

  it('asks for no further page when nobody wants it', async () => {
    await using server = await startStandIn((_, response) =>
      answer(response, 200, { metadata: { continue: 'x' }, items: [item('a'), item('b')] }),
    );
    for await (const _ of server.cluster.list(CONFIG_MAP)) break;
    expect(server.requests).toHaveLength(1);
  });
});

describe('a watch', () => {
  const line = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;

  async function watch(pieces: readonly (string | Buffer)[], end: 'end' | 'cut' = 'end'): Promise<unknown[]> {
    await using server = await startStandIn((_, response) => {
      response.writeHead(200);
      void (async () => {
        for (const piece of pieces) {
          response.write(piece);
          await new Promise(setImmediate);
        }
        if (end === 'end') response.end();
        else response.destroy();
      })();
    });
    const seen: unknown[] = [];
    try {
      for await (const event of server.cluster.watch(CONFIG_MAP, { namespace: 'che', resourceVersion: '7' })) {
        seen.push([event.type, event.object.metadata.name, event.object.data?.['padding']]);
      }
    } catch (error) {
      seen.push((error as EngineError).code);
    }
    expect(server.requests).toEqual([
      'GET /api/v1/namespaces/che/configmaps?watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=290',
    ]);
    return seen;
  }

  it('reads lines wherever they are cut', async () => {
    const text = line('ADDED', item('a', 'ü\u2028€')) + line('BOOKMARK', { metadata: { resourceVersion: '9' } });
    const all = Buffer.from(`${text}\n${line('DELETED', item('b'))}`);
    const expected = [
      ['ADDED', 'a', 'ü\u2028€'],
      ['BOOKMARK', '', undefined],
      ['DELETED', 'b', ''],
    ];
    for (const step of [1, 5, all.length]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < all.length; at += step) pieces.push(all.subarray(at, at + step));
      expect(await watch(pieces)).toEqual(expected);
    }
  });

  it('tells that its version is too old, and other errors', async () => {
    const first = line('ADDED', item('a'));
    expect(await watch([first, line('ERROR', statusOf(410, 'Expired'))])).toEqual([['ADDED', 'a', ''], 'conflict']);
    expect(await watch([line('ERROR', statusOf(500, 'InternalError'))])).toEqual(['io']);
    expect(await watch([line('ERROR', {})])).toEqual(['io']);
    expect(await watch([line('MAYBE', item('a'))])).toEqual(['io']);
    expect(await watch(['what?\n'])).toEqual(['io']);
    expect(await watch(['null\n'])).toEqual(['io']);
  });

  it('has not ended when it was cut', async () => {
    const first = line('ADDED', item('a'));
    expect(await watch([first, first.slice(0, 20)], 'cut')).toEqual([['ADDED', 'a', ''], 'io']);
    expect(await watch([first, first.slice(0, 20)], 'end')).toEqual([['ADDED', 'a', ''], 'io']);
    expect(await watch([first], 'cut')).toEqual([['ADDED', 'a', ''], 'io']);
  });

  it('holds no event that is too long', async () => {
    expect(await watch(Array.from({ length: 20 }, () => ' '.repeat(1024 * 1024)))).toEqual(['too-large']);
  });
});
