/** restic's feature flags, which RESTIC_FEATURES turns on and off (restic manual, "Feature flags"). */
import { UsageError } from './failure.ts';
import { parseBoolean } from './values/boolean.ts';

/**
 * `alpha` and `beta` can be turned on and off; `stable` is always on and `deprecated` always off, and who sets such a
 * flag is told so.
 */
type Maturity = 'alpha' | 'beta' | 'stable' | 'deprecated';

export interface Feature {
  readonly name: string;
  readonly type: Maturity;
  /** Whether it is on where RESTIC_FEATURES says nothing. */
  readonly default: boolean;
  readonly description: string;
}

/** All that restic 0.19 has, each as it is here. */
export const FEATURES: readonly Feature[] = [
  {
    name: 'backend-error-redesign',
    type: 'stable',
    default: true,
    description: 'enforce timeouts for stuck HTTP requests and retry what may succeed later.',
  },
  {
    name: 'deprecate-legacy-index',
    type: 'stable',
    default: true,
    description:
      'disable support for index format used by restic 0.1.0. Use `repair index` to update the index if necessary.',
  },
  {
    name: 'deprecate-s3-legacy-layout',
    type: 'stable',
    default: true,
    description: 'disable support for S3 legacy layout used up to restic 0.7.0.',
  },
  {
    name: 'device-id-for-hardlinks',
    type: 'alpha',
    default: false,
    description:
      'store deviceID only for hardlinks to reduce metadata changes for example when using btrfs subvolumes.',
  },
  {
    name: 'explicit-s3-anonymous-auth',
    type: 'stable',
    default: true,
    description: 'forbid anonymous S3 authentication unless `-o s3.unsafe-anonymous-auth=true` is set',
  },
  {
    name: 's3-restore',
    type: 'deprecated',
    default: false,
    description: 'not supported: restore S3 objects from cold storage classes before they are needed',
  },
  {
    name: 'safe-forget-keep-tags',
    type: 'stable',
    default: true,
    description: 'prevent deleting all snapshots if the tag passed to `forget --keep-tags tagname` does not exist',
  },
];

/**
 * The features that are on. `text` is that of RESTIC_FEATURES, `name[=value],…`; throws for a name that restic does not
 * have either, and for a value that is neither true nor false.
 */
export function enabledFeatures(text: string | undefined, warn: (message: string) => void): ReadonlySet<string> {
  const enabled = new Set(FEATURES.filter((feature) => feature.default).map(({ name }) => name));
  if (!text) return enabled;
  for (const [name, value] of settings(text)) {
    const feature = FEATURES.find((each) => each.name === name);
    if (feature === undefined) throw new UsageError(`unknown feature flag "${name}"`);
    const { type } = feature;
    if (type === 'stable' || type === 'deprecated') {
      const state = type === 'stable' ? 'enabled' : 'disabled';
      warn(`feature flag "${name}" is always ${state} and will be removed in a future release`);
    } else if (value) enabled.add(name);
    else enabled.delete(name);
  }
  return enabled;
}

/** The last setting of a name counts. */
function settings(text: string): Map<string, boolean> {
  return new Map(
    text.split(',').map((setting) => {
      const [name = '', ...rest] = setting.split('=');
      const word = rest.length === 0 ? 'true' : rest.join('=');
      const value = parseBoolean(word);
      if (value === undefined) {
        throw new UsageError(`failed to parse value "${word}" for feature flag ${name}: must be true or false`);
      }
      return [name, value];
    }),
  );
}
