import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { ListedFile } from '@restic-engine/repo-format';
import { parseListing } from './list-parser.ts';

/** A size that is being asked for, or what went wrong with that. */
type Asked = Promise<ListedFile | { readonly failed: unknown } | undefined>;

/** The files of a listing; where it names none, sizes are asked for with `stat`, up to `connections` at a time. */
export async function* listFiles(
  body: AsyncIterable<Uint8Array>,
  stat: (name: string) => Promise<{ readonly size: number }>,
  connections: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedFile> {
  const asked: Asked[] = [];
  for await (const entries of parseListing(body)) {
    for (const { name, size } of entries) {
      throwIfAborted(signal);
      if (size === undefined) {
        asked.push(ask(name, stat));
        if (asked.length >= connections) yield* answered(asked.shift());
      } else yield { name, size };
    }
  }
  for (const each of asked) {
    throwIfAborted(signal);
    yield* answered(each);
  }
}

async function ask(name: string, stat: (name: string) => Promise<{ readonly size: number }>): Asked {
  try {
    const { size } = await stat(name);
    return { name, size };
  } catch (error) {
    // It was removed since the listing was made.
    return EngineError.is(error, 'not-found') ? undefined : { failed: error };
  }
}

async function* answered(asked: Asked | undefined): AsyncGenerator<ListedFile> {
  const answer = await asked;
  if (answer === undefined) return;
  if ('failed' in answer) throw answer.failed;
  yield answer;
}
