/** `backup-info.yaml`, from its text. */
import { EngineError } from 'restic-engine';
import { isRecord, itemsAt, textAt } from '../objects/fields.ts';
import { INFO_PATH, isNamespaceName } from '../objects/path.ts';
import { fromYaml } from '../objects/yaml.ts';
import { BACKUP_REASONS } from './info.ts';
import type { BackupInfo, DatabaseInfo, OperatorInfo } from './info.ts';

const INFRASTRUCTURES = ['Kubernetes', 'Openshift 3', 'Openshift 4'] as const;
const GENERATIONS = ['v1', 'v2'] as const;
const WAYS = ['exec', 'network', 'skipped'] as const;

/** Throws `corrupt` for what is no such file, `unsupported` for a version of the format that is not known here. */
export async function readInfo(text: string): Promise<BackupInfo> {
  const info = await fromYaml(text);
  const version = textAt(info, 'metadataFileVersion');
  if (!isRecord(info) || version === undefined) throw corrupt('metadataFileVersion');
  if (version !== 'v1') {
    throw new EngineError('unsupported', 'the backup is of a format that is not known here', { path: INFO_PATH });
  }
  const namespace = textAt(info, 'namespace') ?? '';
  if (!isNamespaceName(namespace)) throw corrupt('namespace');
  const infrastructure = oneOf(INFRASTRUCTURES, info['infrastructure']);
  if (infrastructure === undefined) throw corrupt('infrastructure');
  return {
    metadataFileVersion: version,
    creationDate: rfc3339(textAt(info, 'creationDate') ?? ''),
    cheVersion: textAt(info, 'cheVersion') ?? '',
    infrastructure,
    appsDomain: textAt(info, 'appsDomain') ?? '',
    namespace,
    generation: oneOf(GENERATIONS, info['generation']),
    flavor: textAt(info, 'flavor'),
    clusterUid: textAt(info, 'clusterUid'),
    kubernetesVersion: textAt(info, 'kubernetesVersion'),
    madeBy: textAt(info, 'madeBy'),
    reason: oneOf(BACKUP_REASONS, info['reason']),
    operator: operatorIn(info['operator']),
    databases: info['databases'] === undefined ? undefined : itemsAt(info, 'databases').map(databaseIn),
  };
}

function operatorIn(value: unknown): OperatorInfo | undefined {
  const subscription = textAt(value, 'subscription');
  const namespace = textAt(value, 'namespace');
  if (subscription === undefined || namespace === undefined) return undefined;
  return {
    subscription,
    namespace,
    channel: textAt(value, 'channel'),
    source: textAt(value, 'source'),
    sourceNamespace: textAt(value, 'sourceNamespace'),
    installedCsv: textAt(value, 'installedCsv'),
    approval: textAt(value, 'approval'),
  };
}

function databaseIn(value: unknown): DatabaseInfo {
  const name = textAt(value, 'name');
  const by = isRecord(value) ? oneOf(WAYS, value['by']) : undefined;
  if (name === undefined || by === undefined) throw corrupt('databases');
  return { name, by };
}

function oneOf<T extends string>(words: readonly T[], value: unknown): T | undefined {
  return words.find((word) => word === value);
}

/** What Go prints of a time: `2022-01-10 09:15:02.123456789 +0000 UTC m=+81.5`. */
const GO_TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d\d)(\d\d) \S+(?: m=\S+)?$/;

function rfc3339(date: string): string {
  const [, day, time, hours, minutes] = GO_TIME.exec(date) ?? [];
  return day === undefined
    ? date
    : `${day}T${time}${hours === '+00' && minutes === '00' ? 'Z' : `${hours}:${minutes}`}`;
}

function corrupt(field: string): EngineError {
  return new EngineError('corrupt', `${INFO_PATH} of the backup is damaged: ${field}`, { path: INFO_PATH, field });
}
