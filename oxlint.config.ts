import { defineConfig, type OxlintOverride } from 'oxlint';

// The rooms of the house and who may enter where (docs/architecture.md, "Rooms"). A room missing from `may` is
// refused; so is a Node module missing from `node`, when there is such a list.
interface Room {
  /** Packages of this workspace that the sources may import. */
  readonly may: readonly string[];
  /** `node:` modules that the sources may import; left out: all of them but worker threads. */
  readonly node?: readonly string[];
  /** Folders or files of the room with more rights on `node:` modules. */
  readonly doors?: readonly { readonly files: readonly string[]; readonly node: readonly string[] }[];
  /** Programs may print and may export what they like; libraries may not. */
  readonly program?: true;
}

const quiet = [
  'async_hooks',
  'diagnostics_channel',
  'events',
  'os',
  'path',
  'timers',
  'timers/promises',
  'url',
  'util',
];
const files = ['fs', 'fs/promises', 'stream', 'stream/promises', ...quiet];

const rooms: Readonly<Record<string, Room>> = {
  chunker: { may: [], node: [] },
  'repo-format': { may: [], node: ['crypto', 'zlib'] },
  backends: { may: ['repo-format'] },
  repository: {
    may: ['repo-format'],
    node: ['crypto', ...quiet],
    doors: [
      { files: ['src/pool/threads.ts'], node: ['worker_threads', 'crypto', 'module', 'process', ...quiet] },
      { files: ['src/node-platform.ts'], node: ['crypto', 'fs', 'process', ...quiet] },
    ],
  },
  snapshot: {
    may: ['repository', 'repo-format', 'chunker'],
    node: ['crypto', ...quiet],
    doors: [
      { files: ['src/source/fs/**', 'src/restore/sink-fs/**'], node: ['crypto', 'process', ...files] },
      { files: ['src/native/**'], node: ['module', ...quiet] },
      { files: ['src/dump/zip.ts'], node: ['zlib', ...quiet] },
    ],
  },
  engine: { may: ['backends', 'chunker', 'repo-format', 'repository', 'snapshot'], node: [] },
  'rest-server': { may: ['repo-format'] },
  'che-state': { may: ['engine'] },
  cli: { may: ['engine', 'che-state', 'rest-server'], program: true },
};

/** The name a room has on npm. */
const nameOf = (room: string): string => (room === 'engine' ? 'restic-engine' : `@restic-engine/${room}`);

function restrictions(room: string, may: readonly string[], node: readonly string[] | undefined): object {
  const allowedRooms = may.map((name) => `!${nameOf(name)}`);
  const allowedNode = node?.map((name) => `!node:${name}`) ?? ['!node:*', '!node:*/**', 'node:worker_threads'];
  return {
    patterns: [
      {
        group: ['restic-engine', '@restic-engine/*', '@restic-engine/*/**', ...allowedRooms],
        message: `${room} may import only: ${may.map(nameOf).join(', ') || 'no other package'}.`,
      },
      {
        group: ['node:*', 'node:*/**', ...allowedNode],
        message: `${room} may not use this Node module here (see oxlint.config.ts).`,
      },
      { group: ['**/dist/**', '**/packages/**'], message: 'Import a package by its name.' },
    ],
  };
}

function rulesOf([room, rights]: [string, Room]): OxlintOverride[] {
  const src = (glob: string): string => `packages/${room}/${glob}`;
  const open: OxlintOverride = {
    files: [src('src/**')],
    rules: { 'no-restricted-imports': ['error', restrictions(room, rights.may, rights.node)] },
  };
  const doors = (rights.doors ?? []).map(
    (door): OxlintOverride => ({
      files: door.files.map(src),
      rules: { 'no-restricted-imports': ['error', restrictions(room, rights.may, door.node)] },
    }),
  );
  const library: OxlintOverride[] = rights.program
    ? []
    : [{ files: [src('src/**')], rules: { 'no-console': 'error' } }];
  return [open, ...doors, ...library];
}

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise', 'vitest'],
  options: { typeAware: true, reportUnusedDisableDirectives: 'error' },
  categories: { correctness: 'error' },
  ignorePatterns: ['**/dist/**', '**/node_modules/**', '**/coverage/**', '**/*.wasm.ts'],
  rules: {
    complexity: ['error', 15],
    eqeqeq: 'error',
    'max-lines': ['error', { max: 400 }],
    'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
    'no-empty': 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-non-null-assertion': 'error',
    // What was caught may be thrown again, whatever it is.
    'typescript/only-throw-error': ['error', { allowRethrowing: true, allowThrowingUnknown: true }],
    'typescript/return-await': ['error', 'error-handling-correctness-only'],
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'unicorn/prefer-node-protocol': 'error',
    // Loops over many cases expect different things of different cases.
    'vitest/no-conditional-expect': 'off',
    'vitest/valid-expect': ['error', { maxArgs: 2 }],
    'vitest/expect-expect': ['error', { assertFunctionNames: ['expect*', 'fc.assert', 'assert*'] }],
    // Conformance suites are functions that register tests under a given title.
    'vitest/valid-title': 'off',
    // Texts are taken apart by code point on purpose: that is how names are matched and measured.
    'typescript/no-misused-spread': 'off',
    // The types promise constants that some platforms do not have.
    'typescript/no-useless-default-assignment': 'off',
    // A backend or a source is handed on as an object whose methods do not use `this`.
    'typescript/unbound-method': 'off',
  },
  overrides: [
    {
      files: ['packages/*/src/**'],
      // What arrives from another thread has no type to be checked against.
      excludeFiles: ['packages/repository/src/pool/threads.ts'],
      rules: { 'typescript/consistent-type-assertions': ['error', { assertionStyle: 'never' }] },
    },
    ...Object.entries(rooms).flatMap(rulesOf),
    {
      files: ['packages/*/test/**', 'test/**', 'bench/**'],
      rules: {
        'max-lines-per-function': 'off',
        'no-constant-binary-expression': 'off',
        'typescript/no-non-null-assertion': 'off',
      },
    },
    // Registers a test that stands for a suite whose peer is missing; it only skips or fails.
    { files: ['test/peers/peers.ts'], rules: { 'vitest/expect-expect': 'off' } },
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
  ],
});
