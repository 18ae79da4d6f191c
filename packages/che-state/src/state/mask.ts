/** What in objects is a secret, and is not shown. */
import { isRecord } from '../objects/fields.ts';
import type { KubeObject } from '../objects/object.ts';

/** In the place of a secret. */
export const MASK = '***';

/** Fields that hold a secret; those that name a Secret have other names. */
const SECRET_FIELD = /(password|passphrase)$|^oAuthSecret$/i;
/** Environment variables and properties. */
const SECRET_VARIABLE =
  /^[A-Z0-9_.]*(PASSWORD|PASSWD|SECRET|TOKEN|PASSPHRASE|PRIVATE_?KEY|API_?KEY|CREDENTIAL)[A-Z0-9_.]*$/;
/** It repeats the whole object. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const LOGIN_IN_URL = /:\/\/[^/@\s]+@/g;

/** Fields that are secret from top to bottom, by kind. */
const SECRET_PARTS: Readonly<Record<string, readonly string[]>> = {
  Secret: ['data', 'stringData'],
  OAuthClient: ['secret', 'additionalSecrets'],
};

/**
 * The object with a mask in the place of every secret: values of Secrets, passwords, secret variables of containers, logins
 * in addresses. Its structure and the names of fields stay.
 */
export function maskSecrets(object: KubeObject): KubeObject {
  const parts = SECRET_PARTS[object.kind] ?? [];
  const { apiVersion, kind, metadata, ...rest } = object;
  const masked = Object.entries(rest).map(([name, value]) => [
    name,
    parts.includes(name) ? mask(value) : maskWithin(name, value),
  ]);
  const { annotations, ...meta } = metadata;
  const notes = annotations === undefined ? {} : { annotations: maskTexts(annotations) };
  return { ...Object.fromEntries(masked), apiVersion, kind, metadata: { ...meta, ...notes } };
}

function maskTexts(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, name === LAST_APPLIED ? MASK : withoutLogin(text)]),
  );
}

function mask(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(mask);
  if (!isRecord(value)) return MASK;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, mask(inner)]));
}

function maskWithin(field: string, value: unknown): unknown {
  if (typeof value === 'string') return isSecret(field) ? MASK : withoutLogin(value);
  if (Array.isArray(value)) return value.map((item) => maskWithin('', item));
  if (!isRecord(value)) return value;
  const isSecretVariable = typeof value['name'] === 'string' && SECRET_VARIABLE.test(value['name']);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      name === 'value' && isSecretVariable ? mask(inner) : maskWithin(name, inner),
    ]),
  );
}

function isSecret(field: string): boolean {
  return SECRET_FIELD.test(field) || SECRET_VARIABLE.test(field);
}

function withoutLogin(text: string): string {
  return text.replace(LOGIN_IN_URL, `://${MASK}@`);
}
