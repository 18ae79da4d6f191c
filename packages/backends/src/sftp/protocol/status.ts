import { PacketReader, STATUS } from './packet.ts';

/** What the server says it could not do. Callers turn it into an `EngineError`, knowing what was attempted. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The status and the text of a STATUS packet; some servers leave out the text. */
export function readStatus(body: Uint8Array): StatusError {
  const reader = new PacketReader(body);
  const status = reader.uint32();
  const text = reader.left > 0 ? reader.text() : '';
  return new StatusError(status, printable(text) || `status ${status}`);
}

/** A server's words, for an error's message: one short line. */
export function printable(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, 200);
}

/** Is this the server's refusal with one of these statuses? */
export function isStatus(error: unknown, ...statuses: readonly (keyof typeof STATUS)[]): error is StatusError {
  return error instanceof StatusError && statuses.some((name) => STATUS[name] === error.status);
}
