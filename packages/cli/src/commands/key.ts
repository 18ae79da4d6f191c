import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { KeyInfo } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, UsageError } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { newPassword, withLockedRepository, withRepository } from '../open.ts';
import type { Password } from '../password.ts';
import { formatLocalTime } from '../render/time.ts';

const EMPTY_FLAG = '--new-insecure-no-password';

interface NewKeyFlags {
  readonly host?: string | undefined;
  readonly user?: string | undefined;
  readonly newInsecureNoPassword?: true | undefined;
  readonly newPasswordFile?: string | undefined;
}

const LIST_MANUAL: Manual = {
  examples: [{ purpose: 'List the keys', words: '-r /srv/backups key list' }],
  exits: REPOSITORY_EXITS,
};
const ADD_MANUAL: Manual = {
  examples: [
    { purpose: 'Ask for another password', words: '-r /srv/backups key add' },
    {
      purpose: 'Take it from a file, and say whose it is',
      words: '-r /srv/backups key add --new-password-file /etc/second.key --user ann --host web1',
    },
  ],
  exits: REPOSITORY_EXITS,
};
const PASSWD_MANUAL: Manual = {
  examples: [
    { purpose: 'Change the password in use', words: '-r /srv/backups key passwd --new-password-file /etc/second.key' },
  ],
  exits: REPOSITORY_EXITS,
};
const REMOVE_MANUAL: Manual = {
  examples: [{ purpose: 'Remove the key of a lost password', words: '-r /srv/backups key remove eb78040b' }],
  exits: REPOSITORY_EXITS,
};

export function defineKey(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const key = documented(program.command('key'), LIST_MANUAL)
    .description('Manage the keys of a repository: each opens it with a password of its own.')
    .action((_flags, command) => command.outputHelp());
  documented(key.command('list'), LIST_MANUAL)
    .summary('List keys (passwords)')
    .description('List the keys of the repository. The one in use is marked.')
    .action(() => list(start()));
  documented(key.command('add'), ADD_MANUAL)
    .summary('Add a new key (password) to the repository; returns the new key ID')
    .description('Add a key with a new password and print its ID.')
    .option('--host <string>', 'the hostname for new key')
    .option(EMPTY_FLAG, 'add an empty password for the repository (insecure)')
    .option('--new-password-file <file>', 'file from which to read the new password')
    .option('--user <string>', 'the username for new key')
    .action((options) => add(start(), options));
  documented(key.command('passwd'), PASSWD_MANUAL)
    .summary('Change key (password); creates a new key ID and removes the old key ID, returns new key ID')
    .description('Put a key with a new password in the place of the one in use.')
    .option('--host <string>', 'the hostname for new key')
    .option(EMPTY_FLAG, 'add an empty password for the repository (insecure)')
    .option('--new-password-file <file>', 'file from which to read the new password')
    .option('--user <string>', 'the username for new key')
    .action((options) => change(start(), options));
  documented(key.command('remove'), REMOVE_MANUAL)
    .summary('Remove key ID (password) from the repository')
    .description('Remove a key. The one in use cannot be removed.')
    .argument('[ID]')
    .action((id) => remove(start(), id));
  return key;
}

async function list(context: Context): Promise<void> {
  const { ui } = context;
  const keys = await withLockedRepository(context, (repository, engine, signal) =>
    engine.listKeys(repository, { signal }),
  );
  if (ui.json) {
    const entries = keys.map(({ current, id, username, hostname, created }) => ({
      current,
      id,
      userName: username,
      hostName: hostname,
      created: formatLocalTime(created),
    }));
    ui.line(JSON.stringify(entries));
    return;
  }
  const columns = [
    { header: ' ID', cell: ({ current, id }: KeyInfo) => `${current ? '*' : ' '}${id.slice(0, 8)}` },
    { header: 'User', wraps: true, cell: ({ username }: KeyInfo) => ui.screen.name(username) },
    { header: 'Host', wraps: true, cell: ({ hostname }: KeyInfo) => ui.screen.name(hostname) },
    { header: 'Created', cell: ({ created }: KeyInfo) => formatLocalTime(created) },
  ];
  ui.table(columns, keys);
}

async function add(context: Context, flags: NewKeyFlags): Promise<void> {
  const { globals, signal, ui } = context;
  refuseBoth(flags);
  await withRepository(context, async (repository, engine) => {
    const password = await passwordOf(context, flags);
    const { user: username, host: hostname } = flags;
    const id = await engine.addKey(repository, {
      password,
      username,
      hostname,
      retryLockMs: globals.retryLockMs,
      signal,
    });
    ui.result(`saved new key with ID ${id}`);
  });
}

async function change(context: Context, flags: NewKeyFlags): Promise<void> {
  const { globals, signal, ui } = context;
  refuseBoth(flags);
  await withRepository(context, async (repository, engine) => {
    const password = await passwordOf(context, flags);
    const { user: username, host: hostname } = flags;
    const retryLockMs = globals.retryLockMs;
    const id = await engine.changePassword(repository, { password, username, hostname, retryLockMs, signal });
    ui.result(`saved new key with ID ${id}`);
  });
}

async function remove(context: Context, prefix: string | undefined): Promise<void> {
  const { globals, signal, ui } = context;
  if (prefix === undefined) throw new UsageError('key remove expects one argument as the key id');
  await withRepository(context, async (repository, engine) => {
    const keys = await engine.listKeys(repository, { signal });
    const [key, ...others] = keys.filter(({ id }) => id.startsWith(prefix));
    if (key === undefined) throw new UsageError(`no matching ID found for prefix "${prefix}"`);
    if (others.length > 0) throw new UsageError(`multiple IDs with prefix "${prefix}" found`);
    if (key.current) throw new Fatal('refusing to remove key currently used to access repository');
    await engine.removeKey(repository, key.id, { retryLockMs: globals.retryLockMs, signal });
    if (ui.json) ui.line(JSON.stringify({ message_type: 'removed', id: key.id }));
    ui.say(`removed key ${key.id}`);
  });
}

function refuseBoth({ newPasswordFile, newInsecureNoPassword }: NewKeyFlags): void {
  if (newPasswordFile !== undefined && newInsecureNoPassword) {
    throw new UsageError(`only either --new-password-file or ${EMPTY_FLAG} may be specified`);
  }
}

function passwordOf(
  context: Context,
  { newPasswordFile: file, newInsecureNoPassword }: NewKeyFlags,
): Promise<Password> {
  const sources = { command: undefined, file, text: undefined, insecureNoPassword: newInsecureNoPassword === true };
  return newPassword(context, sources, EMPTY_FLAG);
}
