/** Conditions of a status, as the Kubernetes API conventions describe them ("Typical status properties"). */
import { fieldAt, itemsAt, textAt } from '../objects/fields.ts';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word in CamelCase, for programs. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** RFC 3339; since when `status` is what it is. */
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number | undefined;
}

const STATUSES = ['True', 'False', 'Unknown'] as const;

/** The conditions of `status`, without what is none. */
export function readConditions(status: unknown): readonly Condition[] {
  return itemsAt(status, 'conditions').flatMap((item) => {
    const type = textAt(item, 'type');
    const state = STATUSES.find((each) => each === textAt(item, 'status'));
    const lastTransitionTime = textAt(item, 'lastTransitionTime');
    if (type === undefined || state === undefined || lastTransitionTime === undefined) return [];
    const [reason, message] = [textAt(item, 'reason') ?? 'Unknown', textAt(item, 'message') ?? ''];
    const generation = fieldAt(item, 'observedGeneration');
    const observedGeneration = typeof generation === 'number' ? generation : undefined;
    return [{ type, status: state, reason, message, lastTransitionTime, observedGeneration }];
  });
}

/** `conditions` with `condition` in it; the time of its last transition stays while its status does. */
export function withCondition(
  conditions: readonly Condition[],
  condition: Omit<Condition, 'lastTransitionTime'>,
  now: Date,
): readonly Condition[] {
  const before = conditions.find(({ type }) => type === condition.type);
  const since = before?.status === condition.status ? before.lastTransitionTime : rfc3339(now);
  const after: Condition = { ...condition, lastTransitionTime: since };
  if (before === undefined) return [...conditions, after];
  return conditions.map((each) => (each === before ? after : each));
}

/** Kubernetes' own objects have whole seconds. */
export function rfc3339(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
