/** What is said of errors, and what is done about them. */
import { EngineError } from 'restic-engine';

/** For a status, an event or a log: `EngineError` holds no secrets, other errors may hold anything. */
export function describe(error: unknown): string {
  if (!EngineError.is(error)) return `internal error (${error instanceof Error ? error.name : typeof error})`;
  const news = Object.entries(error.context).filter(([, value]) => !error.message.includes(String(value)));
  const context = news.map(([name, value]) => `${name}: ${String(value)}`);
  return context.length === 0 ? error.message : `${error.message} (${context.join(', ')})`;
}

export function codeOf(error: unknown): EngineError['code'] | undefined {
  return EngineError.is(error) ? error.code : undefined;
}

/** One word in CamelCase, as reasons of conditions and events are. */
export function reasonOf(error: unknown): string {
  const words = (codeOf(error) ?? 'internal-error').split('-');
  return words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
}

/** May the same succeed later? */
export function mayPass(error: unknown): boolean {
  return EngineError.is(error) && error.retryable;
}
