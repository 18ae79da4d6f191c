#!/usr/bin/env node
// As for restic-engine: Node keeps what it has compiled, unless NODE_DISABLE_COMPILE_CACHE is set.
process.getBuiltinModule('node:module').enableCompileCache();
await import('../dist/che/main.js');
