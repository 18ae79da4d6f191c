/** The config file (restic design document, "Repository Format"). It is sealed, but never compressed. */
import { EngineError } from './errors.ts';
import type { Id } from './id.ts';
import { requiredId, requiredText, wrongField } from './json/fields.ts';
import { encodeJsonString } from './json/go-string.ts';
import { parseObject } from './json/object.ts';
import { rawMembers } from './json/source.ts';

export interface Config {
  readonly version: 1 | 2;
  /** Names the repository, for example in caches; not the hash of anything. */
  readonly id: Id;
  /** Lower-case hex digits of the polynomial over GF(2) that cuts files; not proven to be irreducible here. */
  readonly chunkerPolynomial: string;
  /** Keys this version does not know: key → JSON text. Written back after the known ones. */
  readonly unknown?: Readonly<Record<string, string>> | undefined;
}

const KNOWN: ReadonlySet<string> = new Set(['version', 'id', 'chunker_polynomial']);
/** 64 bits. */
const POLYNOMIAL = /^[0-9a-f]{1,16}$/;

/** Reads the JSON of a config. Throws `corrupt`, and `unsupported` for versions other than 1 and 2. */
export function decodeConfig(json: Uint8Array): Config {
  const { fields, text } = parseObject(json, 'config');
  const version = fields['version'];
  if (typeof version !== 'number') throw wrongField('version', 'a number');
  if (version !== 1 && version !== 2) {
    throw new EngineError('unsupported', `repository version ${version} is not supported`, { version });
  }
  const chunkerPolynomial = requiredText(fields['chunker_polynomial'], 'chunker_polynomial').toLowerCase();
  if (!POLYNOMIAL.test(chunkerPolynomial)) throw wrongField('chunker_polynomial', 'a polynomial in hex digits');
  const config = { version, id: requiredId(fields['id'], 'id'), chunkerPolynomial } as const;
  const unknown = [...rawMembers(text)].filter(([key]) => !KNOWN.has(key));
  return unknown.length === 0 ? config : { ...config, unknown: Object.fromEntries(unknown) };
}

/** The JSON of a config, in restic's order of keys. */
export function encodeConfig(config: Config): Uint8Array<ArrayBuffer> {
  const known = { version: config.version, id: config.id, chunker_polynomial: config.chunkerPolynomial };
  const unknown = Object.entries(config.unknown ?? {}).map(([key, json]) => `,${encodeJsonString(key)}:${json}`);
  return new TextEncoder().encode(`${JSON.stringify(known).slice(0, -1)}${unknown.join('')}}`);
}
