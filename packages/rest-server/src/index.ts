export { createRestServer } from './server.ts';
export type { RestServer } from './server.ts';
export type { Authenticate, Places, RequestRecord, RestServerOptions } from './options.ts';
export type { ListenAt, ListeningAt, TlsOptions } from './http/listen.ts';
export { htpasswd } from './auth/htpasswd.ts';
export { htpasswdFile } from './auth/htpasswd-file.ts';
export type { HtpasswdFile, HtpasswdFileOptions } from './auth/htpasswd-file.ts';
