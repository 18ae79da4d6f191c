/** Basic authentication (RFC 7617). */

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Reads an `Authorization` header; undefined when it is missing or says something else. */
export function credentialsOf(header: string | undefined): Credentials | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
