/** Where a server listens. */
import type { ListenAt } from '@restic-engine/rest-server';
import { InvalidValue } from '../failure.ts';

/** `:8000`, `localhost:8000`, `[::1]:8000`, `unix:/run/rest.sock` */
export function parseListen(text: string): ListenAt {
  if (text.startsWith('unix:') && text.length > 'unix:'.length) return { socketPath: text.slice('unix:'.length) };
  const [, bracketed, name = '', digits] = /^(?:\[([0-9a-f:.]+)\]|([^:]*)):(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits ?? Number.NaN);
  if (!(port <= 65_535))
    throw new InvalidValue(`invalid address "${text}" (for example :8000, [::1]:8000, unix:/path)`);
  return { host: bracketed ?? name, port };
}
