/** A restore that the command line asks for, and what is said of it before it begins. */
import type { FindStateOptions } from '@restic-engine/che-state';
import { toJson } from '../render/json.ts';
import type { CheContext } from './context.ts';
import { hostAt } from './find-state.ts';
import type { RestoreFlags } from './restore-flags.ts';
import type { RestoreSource } from './restore-source.ts';
import type { Place } from './server.ts';

export interface RestoreJob {
  readonly place: Place;
  readonly flags: RestoreFlags;
  readonly source: RestoreSource;
  /** The version of the Che operator that runs; undefined where none is known. */
  readonly current: string | undefined;
}

/** Which version of the Che operator is to be brought; undefined where nothing is to be done for that. */
export function versionToBring({ source, current }: Pick<RestoreJob, 'source' | 'current'>): string | undefined {
  return source.version === current ? undefined : source.version;
}

/** In another cluster or namespace, no backup is of the installation there. */
export async function latestOf(
  context: CheContext,
  { place, flags, source }: Pick<RestoreJob, 'place' | 'flags' | 'source'>,
): Promise<FindStateOptions> {
  const { signal } = context;
  if (source.snapshot !== 'latest') return { signal };
  const isElsewhere = flags.allow?.some((what) => what === 'cluster' || what === 'namespace');
  return isElsewhere ? { signal, anyInstallation: true } : { signal, host: await hostAt(context, place) };
}

/** What is known of the backup. */
export interface KnownBackup {
  readonly version: string;
  /** Without secrets. */
  readonly repository: string;
  readonly snapshot: string;
}

/** The summary before the question. */
export function tellSummary({ ui }: CheContext, { place, source, current }: RestoreJob, known: KnownBackup): void {
  const { version, repository, snapshot } = known;
  const { server } = source;
  const name = server.by === 'configuration' ? server.name : server.by === 'url' ? 'as given' : 'as configured';
  if (ui.json) {
    const message = { message_type: 'restore', namespace: place.namespace, current_version: current };
    ui.line(toJson({ ...message, version, repository, snapshot_id: snapshot }));
    return;
  }
  ui.print(
    [
      `Current version:  ${current ?? 'no Che operator is known'}`,
      `Restore version:  ${version}`,
      `Backup server:    ${name}`,
      `Repository:       ${repository}`,
      `Snapshot:         ${snapshot}`,
    ].map(ui.screen.name),
  );
}
