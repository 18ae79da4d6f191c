/** Places on the servers of tests as backups of Che are told of them. */
import type { BackupServer } from '@restic-engine/che-state';
import { withServerRepository } from '@restic-engine/che-state';
import type { Repository } from 'restic-engine';
import { openPlace } from '../../servers/kinds.ts';
import type { Place } from '../../servers/server.ts';
import { PASSWORD } from '../../support/restic.ts';

export function backupServerAt(place: Place): BackupServer {
  return { location: place.location, password: PASSWORD, open: () => openPlace(place) };
}

/** Opens the repository at a place for the time of `use`; makes it where there is none. */
export function withRepositoryAt<T>(place: Place, use: (repository: Repository) => Promise<T>): Promise<T> {
  return withServerRepository(backupServerAt(place), { create: true }, use);
}
