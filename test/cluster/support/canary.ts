/** Secret values that can be recognized wherever they show up. */
import { createHash } from 'node:crypto';
import { KIND } from '../crds/kinds.ts';
import type { Api } from './api.ts';

const MARK = 'kanarienvogel';

/** A value that nobody may ever print; another one for each label. */
export function canary(label: string): string {
  return `${MARK}-${createHash('sha256').update(label).digest('hex').slice(0, 24)}`;
}

/** What {@link MARK} looks like in Base64, wherever it begins there: without the letters that its neighbors change. */
const ENCODED: readonly string[] = [0, 1, 2].map((offset) => {
  const text = Buffer.from(' '.repeat(offset) + MARK)
    .toString('base64')
    .replace(/=+$/, '');
  return text.slice(offset === 0 ? 0 : offset + 1, -1);
});

/** The places where a canary, plain or in Base64, is in what was printed or stored; each with what is around it. */
export function findCanaries(text: string | Uint8Array): string[] {
  const haystack = typeof text === 'string' ? text : Buffer.from(text).toString('latin1');
  return [MARK, ...ENCODED].flatMap((needle) => {
    const at = haystack.indexOf(needle);
    return at < 0 ? [] : [haystack.slice(Math.max(0, at - 80), at + needle.length)];
  });
}

/** Throws when a canary is in what a program printed. */
export function expectNoCanary(what: string, text: string | Uint8Array): void {
  const [found] = findCanaries(text);
  if (found !== undefined) throw new Error(`${what} shows a secret: …${found}…`);
}

/** Throws when a canary is where everybody who may read a cluster's state but no Secrets sees it. */
export async function expectNoCanaryIn(api: Api): Promise<void> {
  const told = [KIND.event, KIND.lease, KIND.clusterBackup, KIND.clusterRestore, KIND.backupSchedule];
  for (const kind of [...told, KIND.serverConfiguration, KIND.cheClusterV1, KIND.cheClusterV2]) {
    expectNoCanary(`a ${kind.kind}`, JSON.stringify(await api.list(kind)));
  }
  const ours = 'app.kubernetes.io/part-of=backup.che.eclipse.org';
  for (const kind of [KIND.configMap, KIND.deployment, KIND.pod]) {
    expectNoCanary(`a ${kind.kind} of a backup`, JSON.stringify(await api.list(kind, undefined, ours)));
  }
}
