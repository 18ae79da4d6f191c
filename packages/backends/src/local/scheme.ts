import { EngineError } from '@restic-engine/repo-format';
import { belowFolder, connectionsOption } from '../scheme.ts';
import type { Scheme } from '../scheme.ts';
import { withBandwidth } from '../wrap/bandwidth.ts';
import { localBackend } from './backend.ts';

export const LOCAL_SCHEME: Scheme = {
  example: 'local:/srv/backups',
  options: [{ name: 'connections', description: 'set a limit for the number of concurrent operations (default: 2)' }],
  async open(rest, { options, bandwidth }) {
    if (rest.includes('\0')) throw new EngineError('bad-request', 'a path cannot have a zero byte in it');
    const backend = localBackend(rest, { connections: connectionsOption(options, 'local', 2) });
    return bandwidth === undefined ? backend : withBandwidth(bandwidth)(backend);
  },
  below: belowFolder,
};
