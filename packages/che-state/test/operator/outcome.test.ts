import { expect, it } from 'vitest';
import { outcomeOf } from '../../src/operator/restore.ts';
import { SECRET } from '../../src/objects/kinds.ts';

const ref = { kind: SECRET, namespace: 'user1-che', name: 'git' };
const missing = { ref, problem: 'missing', fields: [], reason: undefined } as const;

it.each([
  [[], [], 'Restore succeeded'],
  [[], [{ name: 'dbche', loaded: true, reason: undefined }], 'Restore succeeded'],
  [[missing], [], 'Restore succeeded, with 1 differences from the backup'],
  [
    [missing],
    [
      { name: 'dbche', loaded: false, reason: 'it is an external one' },
      { name: 'keycloak', loaded: true, reason: undefined },
    ],
    'Restore succeeded, with 1 differences from the backup; the database dbche was not loaded: it is an external one',
  ],
])('says of differences %j and databases %j all that is missing', (differences, databases, said) => {
  expect(outcomeOf({ differences, databases })).toBe(said);
});
