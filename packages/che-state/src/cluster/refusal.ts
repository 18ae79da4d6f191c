/** What the API says when it refuses, as an error that holds nothing of what objects contain. */
import { type Code, EngineError } from 'restic-engine';
import { itemsAt, textAt } from '../objects/fields.ts';

/** The parts of a `Status` (API conventions, "Response Status Kind") that are looked at. */
export interface Status {
  readonly reason: string;
  readonly message: string;
  /** The name of the object that the status is about; undefined when it is about something else. */
  readonly name: string | undefined;
  /** In the refusal of a page of a list: where another view of the list would go on. */
  readonly continue: string | undefined;
  readonly causes: readonly { readonly reason: string; readonly field: string; readonly message: string }[];
}

const MAX_MESSAGE = 300;
const MAX_FIELDS = 10;

/** undefined when `json` is no `Status`: whatever answered is not the API. */
export function readStatus(json: unknown): Status | undefined {
  if (textAt(json, 'kind') !== 'Status') return undefined;
  return {
    reason: textAt(json, 'reason') ?? '',
    message: textAt(json, 'message') ?? '',
    name: textAt(json, 'details', 'name'),
    continue: textAt(json, 'metadata', 'continue'),
    causes: itemsAt(json, 'details', 'causes').map((cause) => ({
      reason: textAt(cause, 'reason') ?? '',
      field: textAt(cause, 'field') ?? '',
      message: textAt(cause, 'message') ?? '',
    })),
  };
}

/**
 * A message of the API without the values it quotes, which may be secrets: `Invalid value: "…"` shows what was sent.
 * That a user may not do something is told in full; it quotes names only.
 */
export function withoutValues(message: string): string {
  const rights = /User "[^"]*" cannot [a-z]+ resource "[^"]*" in API group "[^"]*"[^"]*("[^"]*")?/.exec(message);
  if (rights !== null) return rights[0].slice(0, MAX_MESSAGE);
  const cut = message
    // Decoders show the place of a mistake, and what is around it.
    .replace(/(, got |, error found in |\|).*$/s, '')
    .replace(/"(?:[^"\\]|\\.)*"|`[^`]*`/g, '…')
    .replace(/["`].*$/s, '…')
    .replace(/\b(\w+ value): .*?(?=: |$)/gs, '$1')
    .replace(/\s+/g, ' ')
    .trim();
  return cut.length > MAX_MESSAGE ? `${cut.slice(0, MAX_MESSAGE)}…` : cut;
}

const BY_STATUS: Readonly<Record<number, Code>> = {
  401: 'unauthorized',
  403: 'denied',
  404: 'not-found',
  409: 'conflict',
  410: 'conflict',
  413: 'too-large',
  429: 'throttled',
};

function codeOf(httpStatus: number, status: Status | undefined): Code {
  // A namespace on its way out forbids what it will allow again when it is back.
  if (status?.causes.some(({ reason }) => reason === 'NamespaceTerminating')) return 'conflict';
  if (status?.reason === 'AlreadyExists') return 'already-exists';
  // What server-side apply cannot read it reports as a failure of its own.
  if (httpStatus === 500 && status?.reason === '' && /^failed to (create typed|convert)/.test(status.message)) {
    return 'bad-request';
  }
  return BY_STATUS[httpStatus] ?? (httpStatus >= 400 && httpStatus < 500 ? 'bad-request' : 'io');
}

/** @param subject what was asked for, such as `apply Secret che/che-tls` */
export function refusal(subject: string, httpStatus: number, json: unknown): EngineError {
  const status = readStatus(json);
  const fields = [...new Set(status?.causes.map(({ field }) => field).filter((field) => field !== ''))];
  const said = status === undefined ? '' : withoutValues(status.message);
  return new EngineError(
    codeOf(httpStatus, status),
    `cannot ${subject}: the API answers ${httpStatus}${status?.reason ? ` ${status.reason}` : ''}${said && `: ${said}`}`,
    {
      status: httpStatus,
      ...(status?.reason ? { reason: status.reason } : {}),
      ...(fields.length > 0 ? { fields: fields.slice(0, MAX_FIELDS).join(', ').slice(0, MAX_MESSAGE) } : {}),
    },
  );
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/;

/** An error of a socket or of TLS. Its message is not repeated: it may hold headers or what was received. */
export function connectionError(subject: string, error: unknown): EngineError {
  const code = textAt(error, 'code') ?? '';
  if (/ALERT_(\w*CERTIFICATE|UNKNOWN_CA|HANDSHAKE)/.test(code)) {
    return new EngineError('unauthorized', `cannot ${subject}: the API does not accept the client's certificate`, {
      cause: code,
    });
  }
  if (CERTIFICATE.test(code)) {
    return new EngineError('untrusted', `cannot ${subject}: the certificate of the API is not trusted`, {
      cause: code,
    });
  }
  return new EngineError(
    'io',
    `cannot ${subject}: the connection to the API failed`,
    code === '' ? {} : { cause: code },
  );
}
