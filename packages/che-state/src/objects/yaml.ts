/**
 * Objects as YAML: the same text for the same object, whatever the order of its fields. It reads the same under YAML 1.1,
 * which most programs around Kubernetes still speak, and 1.2.
 */
import { EngineError } from 'restic-engine';
import type { Document, Scalar } from 'yaml';
import type { Json } from './object.ts';

/** Bytes of YAML that are read: a cluster keeps no object above 1.5 MiB, and escapes may make it longer. */
export const MAX_YAML_BYTES: number = 8 * 2 ** 20;
/** Deeper than any sound object, and shallow enough for the stack. */
const MAX_DEPTH = 200;
/** Parsing takes some 400 bytes for each token; what is short needs no counting. */
const MAX_TOKENS = 600_000;
const NEED_NO_COUNTING = 64 * 1024;

/** The YAML of an object: fields in order of their names, no line folded, nothing said twice by reference. */
export async function toYaml(object: object): Promise<string> {
  const { Document, visit } = await import('yaml');
  const document = new Document(object, {
    sortMapEntries: true,
    aliasDuplicateObjects: false,
    compat: 'yaml-1.1',
  });
  visit(document, {
    Scalar: (_place, node) => {
      if (typeof node.value !== 'string') return;
      if (isBlock(node.value)) node.type = 'BLOCK_LITERAL';
      else if (NEEDS_ESCAPES.test(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString({ lineWidth: 0, blockQuote: 'literal', doubleQuotedMinMultiLineLength: Infinity });
}

/** Lines that every reader takes as they are. White space at the ends is what readers differ about. */
function isBlock(text: string): boolean {
  const lines = text.endsWith('\n') ? text.slice(0, -1) : text;
  return text.includes('\n') && lines !== '' && lines.trim() === lines && !UNPRINTABLE.test(text);
}

const UNPRINTABLE = /(?![\n\t])[\p{C}\p{Zl}\p{Zp}]/u;
/** What is no line of printable characters. */
const NEEDS_ESCAPES = /[\p{C}\p{Zl}\p{Zp}]/u;

export interface FromYamlOptions {
  /** What programs in Go wrote, such as the old operator, is YAML 1.1. @default '1.2' */
  readonly version?: '1.1' | '1.2' | undefined;
}

/**
 * The JSON that a YAML text says. Throws `corrupt` for what is no single document of plain JSON, such as references, tags,
 * and keys that are no text or there twice; `too-large` for more than 8 MiB, 600,000 tokens or 200 levels. Errors have
 * nothing of the text.
 */
export async function fromYaml(text: string, { version = '1.2' }: FromYamlOptions = {}): Promise<Json> {
  if (text.length > MAX_YAML_BYTES) throw tooLarge('long');
  const yaml = await import('yaml');
  if (text.length > NEED_NO_COUNTING) refuseManyTokens(new yaml.Lexer().lex(text));
  let parsed: Document.Parsed;
  try {
    parsed = yaml.parseDocument(text, {
      schema: version === '1.1' ? 'yaml-1.1' : 'core',
      version,
      // Equal keys are found below: the parser compares each with all others.
      uniqueKeys: false,
      merge: false,
      prettyErrors: false,
    });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge('deep');
    throw error;
  }
  const [problem] = [...parsed.errors, ...parsed.warnings];
  if (problem?.code === 'RESOURCE_EXHAUSTION') throw tooLarge('deep');
  if (problem !== undefined) throw notPlain(problem.code.toLowerCase().replaceAll('_', ' '));

  const read = (node: unknown, depth: number): Json => {
    if (depth > MAX_DEPTH) throw tooLarge('deep');
    if (node === null) return null;
    if (yaml.isScalar(node)) return jsonScalar(node);
    if (yaml.isSeq(node)) return node.items.map((item) => read(item, depth + 1));
    if (!yaml.isMap(node)) throw notPlain('a reference');
    const fields = new Map<string, Json>();
    for (const { key, value } of node.items) {
      const name = yaml.isScalar(key) ? key.value : undefined;
      if (typeof name !== 'string') throw notPlain('a key that is no text');
      if (fields.has(name)) throw notPlain('a key twice');
      fields.set(name, read(value, depth + 1));
    }
    return Object.fromEntries(fields);
  };
  return read(parsed.contents, 0);
}

function refuseManyTokens(tokens: Iterable<string>): void {
  let count = 0;
  for (const _token of tokens) if (++count > MAX_TOKENS) throw tooLarge('manifold');
}

function jsonScalar({ value, source }: Scalar): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  // Times have no type of their own in JSON.
  if (value instanceof Date && source !== undefined) return source;
  throw notPlain('a value that JSON does not have');
}

function notPlain(what: string): EngineError {
  return new EngineError('corrupt', `not the YAML of an object: ${what}`);
}

function tooLarge(how: string): EngineError {
  return new EngineError('too-large', `the YAML is too ${how} for an object`);
}
