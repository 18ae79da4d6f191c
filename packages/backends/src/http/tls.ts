/** Whom to trust, and how to prove who is asking. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import { EngineError } from '@restic-engine/repo-format';
import type { HttpOptions } from './options.ts';

/** What `tls.connect` is given. */
export interface Trust {
  readonly secureContext?: SecureContext;
  readonly rejectUnauthorized?: boolean;
}

/** Whom a client trusts. */
export interface TrustChain {
  readonly first: Trust;
  /**
   * The same with the certificates of the system beside those that come with Node; undefined where the caller has said
   * whom to trust. It takes a tenth of a second to make, which only servers with a certificate from within need.
   */
  readonly withSystem: (() => Trust) | undefined;
}

const UNKNOWN_ISSUER: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\S]*?-----END (?:[A-Z]+ )?PRIVATE KEY-----/g;

/** Throws `bad-request` for PEM texts that hold no certificates, or not exactly one key that fits. */
export function trustOf(options: HttpOptions): TrustChain {
  const { caCertificates, clientCertificate, insecureTls } = options;
  const client = clientCertificate === undefined ? {} : clientOf(clientCertificate);
  if (insecureTls) return { first: { ...trust(client), rejectUnauthorized: false }, withSystem: undefined };
  if (caCertificates !== undefined) {
    const ca = caCertificates.flatMap((pem) => certificatesOf(pem, 'the CA certificates'));
    return { first: trust({ ...client, ca }), withSystem: undefined };
  }
  let known: Trust | undefined;
  const withSystem = (): Trust => {
    known ??= trust({ ...client, ca: [...getCACertificates('default'), ...getCACertificates('system')] });
    return known;
  };
  return { first: trust(client), withSystem };
}

/** Is this what is said of a certificate whose issuer is not known? */
export function isUnknownIssuer(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && UNKNOWN_ISSUER.has(error.code);
}

function trust(context: SecureContextOptions): Trust {
  return Object.keys(context).length === 0 ? {} : { secureContext: contextOf(context) };
}

function clientOf(pem: string): SecureContextOptions {
  const keys = pem.match(PRIVATE_KEY) ?? [];
  if (keys.length !== 1) {
    throw new EngineError('bad-request', `the client certificate holds ${keys.length} private keys, not one`, {
      keys: keys.length,
    });
  }
  return { cert: certificatesOf(pem, 'the client certificate').join('\n'), key: keys };
}

function certificatesOf(pem: string, what: string): string[] {
  const found = pem.match(CERTIFICATE) ?? [];
  if (found.length === 0) throw new EngineError('bad-request', `there is no PEM certificate in ${what}`);
  for (const certificate of found) readable(what, () => new X509Certificate(certificate));
  return found;
}

function contextOf(options: SecureContextOptions): SecureContext {
  return readable('the client certificate', () => createSecureContext(options));
}

/** What cannot be read is refused without OpenSSL's error, which may know the key. */
function readable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const system = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new EngineError('bad-request', `${what} cannot be used (${system})`, { system });
  }
}
