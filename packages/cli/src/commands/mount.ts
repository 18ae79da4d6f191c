import { Option } from '@commander-js/extra-typings';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ListenAt } from '@restic-engine/rest-server';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { withLockedRepository } from '../open.ts';
import { addFilterFlags, collect, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';
import { parseDuration } from '../values/duration.ts';
import { parseListen } from '../values/listen.ts';

interface Flags extends FilterFlags {
  readonly listen: ListenAt;
  readonly pathTemplate?: readonly string[] | undefined;
  readonly timeTemplate?: string | undefined;
  /** Milliseconds. */
  readonly refresh: number;
}

const REFRESH = '1m';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Show all snapshots, at an address that is printed', words: '-r /srv/backups mount' },
    {
      purpose: 'Show those of a host, at a port that stays the same',
      words: '-r /srv/backups mount --host web1 --listen 127.0.0.1:8080',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineMount(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('mount'), MANUAL)
    .description(
      'Show the snapshots as folders to this machine, through a WebDAV server that file managers and rclone can mount. ' +
        'Ends in good order on SIGINT and SIGTERM. Path templates have %i for the short snapshot ID, %I for the long one, ' +
        '%u for the user, %h for the host, %t for a tag and %T for the time, which the time template shows by the ' +
        'example of Mon Jan 2 15:04:05 -0700 MST 2006.',
    )
    .argument('[mountpoint]')
    .addOption(
      new Option('--listen <address>', 'listen address of this machine, host:port')
        .argParser(parseListen)
        .default(parseListen('127.0.0.1:0'), '127.0.0.1:0, any free port'),
    )
    .option(
      '--path-template <template>',
      'set template for path names (can be specified multiple times) (default: ids/%i, snapshots/%T, hosts/%h/%T, tags/%t/%T)',
      collect,
    )
    .option('--time-template <template>', 'set template to use for times (default: "2006-01-02T15:04:05Z07:00")')
    .addOption(
      new Option('--refresh <duration>', 'look for new snapshots when the last look is so long ago')
        .argParser(parseDuration)
        .default(parseDuration(REFRESH), REFRESH),
    );
  addFilterFlags(command);
  return command.action(async (mountpoint, flags: Flags) => {
    const context = start();
    if (mountpoint !== undefined) {
      throw new Fatal('mount takes no mountpoint: it serves WebDAV, and prints what to mount it with');
    }
    await mount(context, flags);
  });
}

async function mount(context: Context, flags: Flags): Promise<void> {
  const { listen, pathTemplate: pathTemplates, timeTemplate, refresh: refreshMs } = flags;
  const { ui } = context;
  if (listen.socketPath !== undefined) throw new Fatal('no WebDAV client connects to a unix socket');
  const filter = snapshotFilter(flags, context.env);
  await withLockedRepository(context, async (repository, engine, signal) => {
    const fs = engine.snapshotFs(repository, {
      filter,
      pathTemplates,
      timeTemplate,
      refreshMs,
      signal,
      onUnreadable: (id, error) => ui.warn(`snapshot ${id.slice(0, 8)} cannot be read: ${error.message}`),
    });
    // What is wrong with the repository is told now, not to the first client.
    await fs.readdir('/');
    const { startDav } = await import('../mount/server.ts');
    const { host = '', port = 0 } = listen;
    await using server = await startDav({
      engine,
      fs,
      host,
      port,
      onFailure: (target, error) => ui.warn(`${target}: ${error instanceof Error ? error.message : String(error)}`),
    });
    if (ui.json) ui.line(JSON.stringify({ message_type: 'listening', url: server.url }));
    ui.say(instructions(server.url));
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true });
      if (signal.aborted) resolve(undefined);
    });
    // Nobody asked for the end: the lock is lost.
    if (!context.signal.aborted) throw signal.reason;
  });
}

function instructions(url: string): string {
  return `Now serving the repository at ${url}
Mount it with one of
  rclone mount :webdav: <folder> --read-only --webdav-url ${url}
  mount -t davfs -o ro ${url} <folder>     (Linux, davfs2)
  mount_webdav -o rdonly ${url} <folder>   (macOS; in the Finder: Go > Connect to Server)
  net use * ${url}                         (Windows)
or copy from it: rclone copy :webdav:snapshots/latest <folder> --webdav-url ${url}
Whoever knows this address can read the snapshots. When finished, quit with Ctrl-c here.`;
}
