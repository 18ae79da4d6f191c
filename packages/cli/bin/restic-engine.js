#!/usr/bin/env node
// Half of the time to start goes into compiling; Node keeps the result in its cache folder, unless
// NODE_DISABLE_COMPILE_CACHE is set. (To `import` a module of Node's own costs a millisecond.)
process.getBuiltinModule('node:module').enableCompileCache();
await import('../dist/main.js');
