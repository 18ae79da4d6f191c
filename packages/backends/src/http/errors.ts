/** What goes wrong below HTTP, as errors of the engine that hold no header, no URL beyond its origin and no body. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';

/** OpenSSL's and Node's words for a certificate that proves nothing. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_SSL_CA_MD_TOO_WEAK',
  'ERR_SSL_EE_KEY_TOO_SMALL',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UND_ERR_PRX_TLS',
]);

/** The alerts of a server that wants a client certificate, or another one; OpenSSL names them by versions of TLS. */
const CLIENT_CERTIFICATE =
  /^ERR_SSL_.*_ALERT_(?:(?:BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/;

const ADVICE = new Map<string, string>([
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS: is it http: rather than https:?'],
  ['UND_ERR_BODY_TIMEOUT', 'nothing came for too long'],
  ['UND_ERR_HEADERS_TIMEOUT', 'no answer came for too long'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'the answer was cut short'],
]);

const UNKNOWN_ISSUER =
  ': who issued its certificate is not known; the certificate of that authority goes into --cacert (caCertificates)';
/** Many servers that speak TLS say nothing to those who do not. */
const NOT_A_WORD = 'it closed the connection without a word: is it https: rather than http:?';
const REFUSED = 'the server asks for a client certificate that it trusts';

/** What undici and the system report for a request to `url`. */
export function transportError(cause: unknown, url: URL): EngineError {
  if (EngineError.is(cause)) return cause;
  const system = codeOf(cause) ?? 'unknown';
  const code = isBadHttp(cause) ? 'corrupt' : (refusedByProxy(cause) ?? classify(system));
  const advice = CLIENT_CERTIFICATE.test(system) ? REFUSED : (ADVICE.get(system) ?? wordsOf(cause, url));
  return new EngineError(code, `${url.host}: ${advice}`, { host: url.host, system }, { cause: copyOf(cause) });
}

/** A connection that this side ended. */
export function connectionCut(): EngineError {
  return new EngineError('io', 'the connection was given up');
}

/** A success before all of the request was sent: what answers cannot be the server that stores it. */
export function answeredTooEarly({ host }: URL): EngineError {
  return new EngineError('io', `${host}: the answer came before all of the request was sent`, { host });
}

function classify(system: string): Code {
  if (UNTRUSTED.has(system)) return 'untrusted';
  if (CLIENT_CERTIFICATE.test(system)) return 'unauthorized';
  if (system === 'UND_ERR_HEADERS_OVERFLOW') return 'corrupt';
  if (system === 'UND_ERR_INVALID_ARG') return 'bad-request';
  if (system === 'UND_ERR_DESTROYED' || system === 'UND_ERR_CLOSED') return 'aborted';
  return 'io';
}

/** What a proxy says before it would let a request through is told in undici's messages only. */
function refusedByProxy(error: unknown): Code | undefined {
  const status = /^Proxy .*\((4\d\d)\)/.exec(messageOf(error))?.[1];
  if (status === undefined) return undefined;
  return status === '407' ? 'unauthorized' : 'denied';
}

/** undici gives no codes to such errors. A connection that ended in the middle of an answer is one for its parser, too. */
function isBadHttp(error: unknown): boolean {
  return error instanceof Error && error.name === 'HTTPParserError' && !error.message.includes('EOF');
}

/** The code of an error, or of the first of several (one for each address of a host). */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error instanceof AggregateError ? codeOf(error.errors[0]) : undefined;
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return messageOf(error.errors[0]);
  return error instanceof Error && error.message !== '' ? error.message : 'the connection failed';
}

/** Node proposes to trust the certificates of the system, which was done already. */
function wordsOf(error: unknown, url: URL): string {
  if (url.protocol === 'http:' && closedInSilence(error)) return NOT_A_WORD;
  return messageOf(error).replace(/; if the root CA is installed locally.*$/, UNKNOWN_ISSUER);
}

/** Did the connection end before anything came over it? undici's errors of connections say how much came. */
function closedInSilence(error: unknown): boolean {
  if (codeOf(error) !== 'UND_ERR_SOCKET' || !(error instanceof Error) || !('socket' in error)) return false;
  const { socket } = error;
  return typeof socket === 'object' && socket !== null && 'bytesRead' in socket && socket.bytesRead === 0;
}

/** The error by name, code and message only: others of its properties may hold what was sent and received. */
function copyOf(error: unknown): Error {
  const copy = new Error(messageOf(error));
  if (error instanceof Error) copy.name = error.name;
  return Object.assign(copy, { code: codeOf(error) });
}
