/** What needs no `node:crypto`, apart from the main entry: few need it, and loading it takes time. */
export { portablePrimitives } from './crypto/portable-primitives.ts';
