/** Manifests of the Che operator, in a file. */
import { readFile } from 'node:fs/promises';
import type { KubeObject } from '@restic-engine/che-state';
import { Fatal } from '../failure.ts';
import { isMissing } from '../values/text-file.ts';

/** The objects in a YAML file of any number of documents; a `List` stands for what is in it. */
export async function readManifests(path: string): Promise<KubeObject[]> {
  const { parseAllDocuments } = await import('yaml');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) throw new Fatal(`${path} does not exist`);
    throw error;
  });
  const objects: KubeObject[] = [];
  for (const document of parseAllDocuments(text)) {
    // Its message would quote the file.
    if (document.errors.length > 0) throw new Fatal(`${path} is no YAML`);
    const value: unknown = document.toJS();
    if (value !== null) objects.push(...objectsIn(path, value));
  }
  if (objects.length === 0) throw new Fatal(`${path} has no manifests`);
  return objects;
}

function objectsIn(path: string, value: unknown): KubeObject[] {
  if (isRecord(value) && value['kind'] === 'List' && Array.isArray(value['items'])) {
    return value['items'].flatMap((item: unknown) => objectsIn(path, item));
  }
  if (!isObject(value)) throw new Fatal(`${path} has something that is no Kubernetes object`);
  return [value];
}

function isObject(value: unknown): value is KubeObject {
  if (!isRecord(value)) return false;
  const { apiVersion, kind, metadata } = value;
  return (
    typeof apiVersion === 'string' &&
    typeof kind === 'string' &&
    isRecord(metadata) &&
    typeof metadata['name'] === 'string'
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
