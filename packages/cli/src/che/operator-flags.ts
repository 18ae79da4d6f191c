/** Flags of commands that an operator can do the work of, and old ones that say nothing any more. */
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { parseDuration } from '../values/duration.ts';

export interface OperatorFlags {
  readonly viaOperator?: true | undefined;
  /** ms */
  readonly timeout?: number | undefined;
  readonly externalDatabase?: true | undefined;
  readonly batch?: true | undefined;
}

/** How long the work of an operator is followed, in ms. */
export const FOLLOW_MS = 3_600_000;

export function addOperatorFlags(command: CommandUnknownOpts): void {
  command
    .option('--external-database', 'also the databases that run outside of the cluster')
    .option('--via-operator', 'let the operator in the cluster do it, and follow it')
    .addOption(
      new Option('--timeout <duration>', 'how long to follow the operator')
        .argParser(parseDuration)
        .default(undefined, '1h'),
    )
    .option('--batch', 'ask nobody')
    .addOption(new Option('--telemetry <on|off>', 'there is none').choices(['on', 'off']).hideHelp());
}
