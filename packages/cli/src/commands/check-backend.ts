import { randomBytes } from 'node:crypto';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { BackendVerdict } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, Incomplete } from '../failure.ts';
import { repositoryLocation } from '../globals.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { openPlace } from '../open.ts';

/** A store that is out of order should be told of, not waited for. */
const ATTEMPTS = 3;
/** The environment's secrets that belong to backends. */
const SECRETS = ['RESTIC_REST_PASSWORD', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'RESTIC_ENGINE_SFTP_PASSWORD'];

const MANUAL: Manual = {
  examples: [{ purpose: 'Test a folder', words: 'check-backend /srv/new-disk' }],
  exits: {
    ...LOCAL_EXITS,
    1: 'a promise is broken, or the test could not be done',
  },
};

export function defineCheckBackend(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('check-backend'), MANUAL)
    .description(
      'Test whether a place for repositories, on this machine or on a server, does all that backups rely on: in a new folder right below the location, which goes when the test ends. What else lies there is not touched. The default location is that of --repo.',
    )
    .argument('[location]')
    .option('--leave-files', 'test a place that is append-only too, where about 30 MiB of test files stay forever')
    .action(async (location, { leaveFiles = false }) => {
      const context = start();
      const sources = location === undefined ? context.globals.repository : { location, file: undefined };
      await checkBackend(context, await repositoryLocation(sources), leaveFiles);
    });
}

async function checkBackend(context: Context, location: string, leaveFiles: boolean): Promise<void> {
  const { env, signal, ui } = context;
  const engine = await import('restic-engine');
  const name = `restic-engine-check-${randomBytes(6).toString('hex')}`;
  const open = (place: number): ReturnType<typeof openPlace> => {
    const below = engine.locationBelow(location, place === 0 ? name : `${name}-${place}`);
    return openPlace(context, engine, { location: below, file: undefined }, { attempts: ATTEMPTS });
  };
  // What is wrong with the location itself should be told of it, not of the place below.
  await (await openPlace(context, engine, { location, file: undefined }))[Symbol.asyncDispose]();
  const secrets = SECRETS.flatMap((variable) => env[variable] || []);
  const broken: string[] = [];
  let kept = 0;
  let place = '';
  try {
    for await (const verdict of engine.checkBackend(open, { secrets, leaveFiles, signal })) {
      if (place === '') {
        place = context.location ?? '';
        ui.say(`checking ${place}`);
      }
      tell(context, verdict);
      if (verdict.kept) kept += 1;
      else broken.push(verdict.name);
    }
  } catch (error) {
    // Servers allow folders to a certain depth, and the place itself may be the deepest.
    if (engine.EngineError.is(error, 'not-found') && error.context['operation'] === 'create') {
      throw new Fatal(`${error.message}\nthe test makes a folder below the location: try one folder higher`);
    }
    if (!engine.EngineError.is(error, 'denied') || error.context['appendOnly'] !== true) throw error;
    throw new Fatal(`${error.message}\nuse --leave-files to check such a place nevertheless`);
  }
  if (ui.json) {
    ui.line(JSON.stringify({ message_type: 'summary', location: place, kept, broken: broken.length }));
  } else {
    // The protocol has no request to remove them.
    if (place.startsWith('rest:') && !leaveFiles) ui.say(`empty folders stay on the server, below ${place}`);
    ui.say(`${kept} promises kept, ${broken.length} broken`);
  }
  if (broken.length > 0) throw new Incomplete(1, `this place does not do what backups rely on: ${broken.join('; ')}`);
}

function tell({ ui }: Context, { group, name, kept, durationMs, error }: BackendVerdict): void {
  const message = error?.message;
  if (ui.json) {
    const verdict = { message_type: 'verdict', group, name, kept, duration: Math.round(durationMs) / 1000 };
    ui.line(JSON.stringify({ ...verdict, ...(message !== undefined && { error: { message } }) }));
    return;
  }
  ui.say(`${kept ? 'kept  ' : 'BROKEN'}  ${group}: ${name}`, kept ? 1 : 0);
  if (message !== undefined) ui.say(`        ${message.replaceAll('\n', '\n        ')}`, 0);
}
