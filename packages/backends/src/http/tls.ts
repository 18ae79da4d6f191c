/** Whom to trust, and how to prove who is asking. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import { EngineError } from '@restic-engine/repo-format';
import type { HttpOptions } from './options.ts';

/** What `tls.connect` is given. */
export interface Trust {
  readonly secureContext?: SecureContext;
  readonly rejectUnauthorized?: boolean;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\S]*?-----END (?:[A-Z]+ )?PRIVATE KEY-----/g;

/** Throws `bad-request` for PEM texts that hold no certificates, or not exactly one key that fits. */
export function trustOf(options: HttpOptions): Trust {
  const { caCertificates, clientCertificate, insecureTls } = options;
  const context: SecureContextOptions = {
    ...(caCertificates && { ca: caCertificates.flatMap((pem) => certificatesOf(pem, 'the CA certificates')) }),
    ...(clientCertificate !== undefined && clientOf(clientCertificate)),
  };
  return {
    ...(Object.keys(context).length > 0 && { secureContext: contextOf(context) }),
    ...(insecureTls && { rejectUnauthorized: false }),
  };
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
