/** The version of this program. */
import { readFileSync } from 'node:fs';

/** Go's names, which readers of the JSON know. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
const GO_OS: Readonly<Record<string, string>> = { win32: 'windows' };

/** As in package.json, for example `0.1.0`. */
export function programVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined;
  return typeof version === 'string' ? version : 'unknown';
}

/** The version of a program of this package and what it runs on, for people or as restic's JSON. */
export function versionLine(json: boolean, program = 'restic-engine'): string {
  const version = programVersion();
  const runtime = `node${process.versions.node}`;
  const os = GO_OS[process.platform] ?? process.platform;
  const arch = GO_ARCH[process.arch] ?? process.arch;
  return json
    ? JSON.stringify({ message_type: 'version', version, go_version: runtime, go_os: os, go_arch: arch })
    : `${program} ${version} with ${runtime} on ${os}/${arch}`;
}
