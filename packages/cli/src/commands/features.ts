import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { FEATURES } from '../features.ts';
import type { Feature } from '../features.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';

const MANUAL: Manual = {
  examples: [{ purpose: 'List them', words: 'features' }],
  exits: LOCAL_EXITS,
};

export function defineFeatures(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('features'), MANUAL)
    .description(
      'List the feature flags. RESTIC_FEATURES turns those of type alpha and beta on and off: name=true,name=false.',
    )
    .argument('[argument...]')
    .usage('[options]')
    .action((words) => {
      const { ui } = start();
      if (words.length > 0) throw new Fatal('the features command expects no arguments');
      if (ui.json) {
        ui.line(JSON.stringify(FEATURES));
        return;
      }
      ui.line('All Feature Flags:');
      const columns = [
        { header: 'Name', cell: ({ name }: Feature) => name },
        { header: 'Type', cell: ({ type }: Feature) => type },
        { header: 'Default', cell: (feature: Feature) => String(feature.default) },
        { header: 'Description', wraps: true, cell: ({ description }: Feature) => description },
      ];
      ui.table(columns, FEATURES);
    });
}
