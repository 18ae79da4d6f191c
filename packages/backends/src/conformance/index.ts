export { describeBackend } from './describe-backend.ts';
export type { Suite } from './describe-backend.ts';
export type { Expected } from './case.ts';
