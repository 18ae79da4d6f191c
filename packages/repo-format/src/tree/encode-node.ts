/** Nodes as JSON. Trees are hashed, so keys, their order and what is left out must match restic's byte for byte. */
import { encodeBase64 } from '../json/base64.ts';
import { encodeJsonString, GO_1_21, type GoProfile, quoteGo } from '../json/go-string.ts';
import { compactJson } from '../json/source.ts';
import { formatUint64 } from '../json/uint64.ts';
import type { ExtendedAttribute, Node, Uint64 } from './node.ts';
import { compareNames, pathToBytes } from './path-bytes.ts';

/**
 * The JSON text of one node. It holds no lone surrogates. Throws `RangeError` when a number of the node is not an exact
 * unsigned 64-bit integer.
 */
export function encodeNode(node: Node, profile: GoProfile = GO_1_21): string {
  return (
    `{"name":${encodeJsonString(quoteGo(node.name, profile), profile)},"type":"${node.type}"${number('mode', node.mode)}` +
    `,"mtime":"${node.mtime}","atime":"${node.atime}","ctime":"${node.ctime}"` +
    `,"uid":${formatUint64(node.uid)},"gid":${formatUint64(node.gid)}` +
    text('user', node.user, profile) +
    text('group', node.group, profile) +
    number('inode', node.inode) +
    number('device_id', node.deviceId) +
    number('size', node.size) +
    number('links', node.links) +
    linkTarget(node.linkTarget, profile) +
    extendedAttributes(node.extendedAttributes, profile) +
    genericAttributes(node.genericAttributes, profile) +
    number('device', node.device) +
    `,"content":${contentIds(node.content)}` +
    (node.subtree === undefined ? '' : `,"subtree":"${node.subtree}"`) +
    text('error', node.error, profile) +
    unknownKeys(node.unknown, profile) +
    '}'
  );
}

function number(key: string, value: Uint64 | undefined): string {
  return value === undefined || value === 0 ? '' : `,"${key}":${formatUint64(value)}`;
}

function text(key: string, value: string | undefined, profile: GoProfile): string {
  return value === undefined || value === '' ? '' : `,"${key}":${encodeJsonString(value, profile)}`;
}

function linkTarget(target: string | undefined, profile: GoProfile): string {
  const encoded = text('linktarget', target, profile);
  if (target === undefined || target.isWellFormed()) return encoded;
  // JSON cannot hold bytes that are not UTF-8, so restic adds them in base 64.
  return `${encoded},"linktarget_raw":"${encodeBase64(pathToBytes(target))}"`;
}

function contentIds(content: Node['content']): string {
  if (content === null) return 'null';
  return content.length === 0 ? '[]' : `["${content.join('","')}"]`;
}

function extendedAttributes(attributes: readonly ExtendedAttribute[] | undefined, profile: GoProfile): string {
  if (attributes === undefined || attributes.length === 0) return '';
  const items = attributes.map(({ name, value }) => {
    const encoded = value === null ? 'null' : `"${encodeBase64(value)}"`;
    return `{"name":${encodeJsonString(name, profile)},"value":${encoded}}`;
  });
  return `,"extended_attributes":[${items.join(',')}]`;
}

function genericAttributes(attributes: Node['genericAttributes'], profile: GoProfile): string {
  if (attributes === undefined) return '';
  const entries = Object.entries(attributes);
  if (entries.length === 0) return '';
  entries.sort(([a], [b]) => compareNames(a, b));
  const members = entries.map(([key, value]) => `${encodeJsonString(key, profile)}:${compactJson(value)}`);
  return `,"generic_attributes":{${members.join(',')}}`;
}

function unknownKeys(unknown: Node['unknown'], profile: GoProfile): string {
  if (unknown === undefined) return '';
  return Object.entries(unknown)
    .map(([key, value]) => `,${encodeJsonString(key, profile)}:${compactJson(value)}`)
    .join('');
}
