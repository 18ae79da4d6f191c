export { CODES, EngineError } from '@restic-engine/repo-format';
export type { Backend, Code, ErrorContext } from '@restic-engine/repo-format';
