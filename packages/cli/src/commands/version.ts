import process from 'node:process';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from '../context.ts';
import { programVersion } from '../version.ts';

/** Go's names, which readers of the JSON know. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
const GO_OS: Readonly<Record<string, string>> = { win32: 'windows' };

export function defineVersion(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return program
    .command('version')
    .description('Print the version of this program and what it runs on.')
    .allowExcessArguments()
    .action(() => {
      const { ui } = start();
      const version = programVersion();
      const runtime = `node${process.versions.node}`;
      const os = GO_OS[process.platform] ?? process.platform;
      const arch = GO_ARCH[process.arch] ?? process.arch;
      ui.line(
        ui.json
          ? JSON.stringify({ message_type: 'version', version, go_version: runtime, go_os: os, go_arch: arch })
          : `restic-engine ${version} with ${runtime} on ${os}/${arch}`,
      );
    });
}
