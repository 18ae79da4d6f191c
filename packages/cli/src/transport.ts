/** How to get to a repository: extended options, TLS, HTTP and the limits of the line. */
import { readFile } from 'node:fs/promises';
import type { HttpOptions } from 'restic-engine';
import type { GlobalFlags } from './flags.ts';
import { Fatal, InvalidValue, namingFlag } from './failure.ts';
import type { Environment } from './globals.ts';
import { splitCommas } from './values/comma-list.ts';
import { parseDuration } from './values/duration.ts';

export interface Transport {
  /** `s3.region` → `eu-central-1`. */
  readonly options: Readonly<Record<string, string>>;
  readonly caFiles: readonly string[];
  readonly clientCertFile: string | undefined;
  readonly insecureTls: boolean;
  readonly userAgent: string | undefined;
  readonly stuckRequestMs: number | undefined;
  /** Bytes per second. */
  readonly uploadLimit: number | undefined;
  /** Bytes per second. */
  readonly downloadLimit: number | undefined;
}

const KIB = 1024;

export function resolveTransport(flags: GlobalFlags, env: Environment): Transport {
  return {
    options: namingFlag('--option', () => extendedOptions(flags.option ?? [])),
    caFiles: namingFlag(flags.cacert ? '--cacert' : 'RESTIC_CACERT', () =>
      (flags.cacert ?? [env['RESTIC_CACERT'] ?? '']).flatMap(splitCommas),
    ),
    clientCertFile: (flags.tlsClientCert ?? env['RESTIC_TLS_CLIENT_CERT']) || undefined,
    insecureTls: flags.insecureTls ?? false,
    userAgent: (flags.httpUserAgent ?? env['RESTIC_HTTP_USER_AGENT']) || undefined,
    stuckRequestMs:
      namingFlag('--stuck-request-timeout', () => parseDuration(flags.stuckRequestTimeout ?? '0')) || undefined,
    uploadLimit: namingFlag('--limit-upload', () => rate(flags.limitUpload)),
    downloadLimit: namingFlag('--limit-download', () => rate(flags.limitDownload)),
  };
}

/** Reads the certificates. All files must be there and be what they should, whether they will be needed or not. */
export async function httpOptions(transport: Transport): Promise<HttpOptions> {
  const { caFiles, clientCertFile, insecureTls, userAgent, stuckRequestMs } = transport;
  const caCertificates = await Promise.all(caFiles.map((path) => readPem(path, 'root certificate', ['CERTIFICATE'])));
  return {
    ...(caCertificates.length > 0 && { caCertificates }),
    ...(clientCertFile !== undefined && {
      clientCertificate: await readPem(clientCertFile, 'TLS client certificate', ['CERTIFICATE', 'PRIVATE KEY']),
    }),
    insecureTls,
    ...(userAgent !== undefined && { userAgent }),
    ...(stuckRequestMs !== undefined && { stuckRequestMs }),
  };
}

async function readPem(path: string, what: string, parts: readonly string[]): Promise<string> {
  const text = await readFile(path, 'latin1').catch((error: unknown) => {
    throw new Fatal(`unable to read ${what}: ${error instanceof Error ? error.message : String(error)}`);
  });
  for (const part of parts) {
    if (!new RegExp(`-----BEGIN [A-Z ]*${part}-----`).test(text)) {
      throw new Fatal(`cannot parse ${what} from "${path}": there is no ${part} in it`);
    }
  }
  return text;
}

/** `key=value`, several with commas between them; keys in small letters, as in restic. */
function extendedOptions(given: readonly string[]): Record<string, string> {
  const options = new Map<string, string>();
  for (const text of given.flatMap(splitCommas)) {
    const [key = '', ...value] = text.split('=');
    const name = key.trim().toLowerCase();
    if (name === '') throw new Fatal('empty key is not a valid option');
    const setting = value.join('=').trim();
    if ((options.get(name) ?? setting) !== setting) throw new Fatal(`key "${name}" present more than once`);
    options.set(name, setting);
  }
  return Object.fromEntries(options);
}

/** KiB per second, in bytes; 0 and less are no limit. */
function rate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[-+]?\d+$/.test(text)) throw new InvalidValue(`invalid rate "${text}", it must be a whole number of KiB/s`);
  return Number(text) > 0 ? Number(text) * KIB : undefined;
}
