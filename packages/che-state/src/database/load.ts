/** Loading a dump: beside the database, which it replaces when all of it is there. */
import { randomBytes } from 'node:crypto';
import { EngineError } from 'restic-engine';
import type { ClusterCall } from '../cluster/cluster.ts';
import { runToEnd } from './client.ts';
import type { DatabaseClient, OpenClient } from './client.ts';
import { failureOf } from './failure.ts';
import { knowsRestrict, scriptOf } from './script.ts';
import {
  copyProperties,
  createDatabase,
  describeDatabase,
  disconnect,
  dropDatabase,
  exchange,
  findLeftovers,
  rename,
  SUFFIX_LENGTH,
  temporaryName,
} from './sql.ts';
import type { DatabaseShape } from './sql.ts';

/** Where one is connected while a database is made, renamed or removed. */
const MAINTENANCE = 'postgres';
/** Somebody who is quick may connect between being disconnected and the renaming. */
const EXCHANGES = 10;
const IN_USE = '55006';
const CLEAN_UP_MS = 60_000;
/** Verbosity shows SQLSTATEs, which is all that is taken of messages. */
const PSQL = ['--no-psqlrc', '--no-password', '--quiet', '--set=ON_ERROR_STOP=1', '--set=VERBOSITY=verbose'] as const;

export interface LoadOptions {
  readonly name: string;
  /** Of a database that is not there yet; one that is keeps its own. */
  readonly owner: string | undefined;
}

/** See {@link StateDatabase.load}. */
export async function loadDatabase(
  open: OpenClient,
  { name, owner }: LoadOptions,
  dump: AsyncIterable<Uint8Array>,
  call: ClusterCall,
): Promise<void> {
  const client = await open(call);
  try {
    const loading = new Loading(client, name, call);
    const restricted = await loading.knowsRestrict();
    const shape = await loading.shape();
    await loading.removeLeftovers();
    await loading.load(shape ?? { owner }, dump, restricted);
    await loading.exchange(shape !== undefined);
  } finally {
    await client.close();
  }
}

class Loading {
  readonly #client: DatabaseClient;
  readonly #name: string;
  readonly #call: ClusterCall;
  readonly #fresh: string;
  readonly #replaced: string;

  constructor(client: DatabaseClient, name: string, call: ClusterCall) {
    this.#client = client;
    this.#name = name;
    this.#call = call;
    const suffix = randomBytes(SUFFIX_LENGTH / 2).toString('hex');
    this.#fresh = temporaryName(name, 'restore', suffix);
    this.#replaced = temporaryName(name, 'replaced', suffix);
  }

  async knowsRestrict(): Promise<boolean> {
    const output = await runToEnd(this.#client, 'psql', ['--version'], this.#call);
    if (output.exitCode !== 0) throw failureOf('run psql', output);
    return knowsRestrict(output.stdout);
  }

  /** undefined where there is no such database. */
  async shape(): Promise<DatabaseShape | undefined> {
    const answer = await this.#ask(describeDatabase(this.#name));
    if (answer === undefined) return undefined;
    const text = (key: string): string | undefined => {
      const value: unknown = Reflect.get(Object(answer), key);
      return typeof value === 'string' ? value : undefined;
    };
    const [provider, locale] = [text('provider'), text('locale')];
    const [collate, ctype] = [text('collate'), text('ctype')];
    return { owner: text('owner'), encoding: text('encoding'), collate, ctype, provider, locale };
  }

  async removeLeftovers(): Promise<void> {
    const names = await this.#ask(findLeftovers(this.#name));
    if (!Array.isArray(names)) return;
    for (const name of names) if (typeof name === 'string') await this.#do(dropDatabase(name));
  }

  async load(shape: DatabaseShape, dump: AsyncIterable<Uint8Array>, restricted: boolean): Promise<void> {
    await this.#do(createDatabase(this.#fresh, shape));
    await this.#orRemove(async () => {
      const { input, firstLine, proof } = scriptOf(dump, restricted);
      const args = [...PSQL, '--single-transaction', '--file=-', `--dbname=${this.#client.connection(this.#fresh)}`];
      const output = await runToEnd(this.#client, 'psql', args, { ...this.#call, stdin: input });
      if (output.exitCode !== 0) throw failureOf(`load the database ${this.#name}`, output, firstLine);
      if (!output.stdout.includes(proof)) {
        throw new EngineError('io', `cannot load the database ${this.#name}: psql did not get all of the dump`);
      }
    });
  }

  /** Puts the new database in the place of the old one. */
  async exchange(exists: boolean): Promise<void> {
    await this.#orRemove(async () => {
      if (!exists) return this.#do(rename(this.#fresh, this.#name));
      await this.#do(copyProperties(this.#name, this.#fresh));
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#do(exchange(this.#name, this.#fresh, this.#replaced));
        } catch (error) {
          const inUse = EngineError.is(error, 'database') && error.context['sqlState'] === IN_USE;
          if (!inUse || attempt === EXCHANGES) throw error;
        }
      }
    });
    if (exists) await this.#drop(this.#replaced, this.#call);
  }

  async #orRemove(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // Whatever ended the work must not end this.
      await this.#drop(this.#fresh, { signal: AbortSignal.timeout(CLEAN_UP_MS) }).catch((left: unknown) => {
        const errors = [error, left];
        const message = `the database ${this.#name} is as it was, but ${this.#fresh} beside it could not be removed`;
        throw new EngineError('database', message, {}, { cause: new AggregateError(errors) });
      });
      throw error;
    }
  }

  async #drop(name: string, call: ClusterCall): Promise<void> {
    await this.#do(disconnect(name), call);
    await this.#do(dropDatabase(name), call);
  }

  async #do(statement: string, call: ClusterCall = this.#call): Promise<void> {
    await this.#run(statement, call);
  }

  /** The JSON value of the only row; undefined for none. */
  async #ask(statement: string): Promise<unknown> {
    const text = (await this.#run(statement, this.#call)).trim();
    if (text === '') return undefined;
    const value: unknown = JSON.parse(text);
    return value;
  }

  async #run(statement: string, call: ClusterCall): Promise<string> {
    const { connection } = this.#client;
    const form = ['--tuples-only', '--no-align', `--command=${statement}`, `--dbname=${connection(MAINTENANCE)}`];
    const output = await runToEnd(this.#client, 'psql', [...PSQL, ...form], call);
    if (output.exitCode !== 0) throw failureOf(`prepare the database ${this.#name}`, output);
    return output.stdout;
  }
}
