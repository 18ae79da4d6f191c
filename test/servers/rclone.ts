/** `rclone serve restic`: another program that speaks restic's REST protocol. */
import type { Peer } from '../peers/peers.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startDaemon } from './daemon.ts';
import type { Server } from './server.ts';

const USER = 'tester';
const PASSWORD = 'another secret';

export async function startRclone(peer: Peer): Promise<Server> {
  const folder = makeTempDir();
  const start = (port: number) =>
    startDaemon({
      command: peer.path,
      args: ['serve', 'restic', '--config', '/dev/null', '--addr', `127.0.0.1:${port}`, folder.path],
      env: { RCLONE_USER: USER, RCLONE_PASS: PASSWORD },
      ready: /Serving restic REST API on \[http:\/\/127\.0\.0\.1:(\d+)/,
    });
  let daemon = await start(0);
  const { port } = daemon;
  return {
    port,
    place: async (name, { port: through = port } = {}) => ({
      location: `rest:http://127.0.0.1:${through}/${name}/`,
      env: { RESTIC_REST_USERNAME: USER, RESTIC_REST_PASSWORD: PASSWORD },
      options: [],
      secrets: [PASSWORD],
    }),
    async restart() {
      await daemon.kill();
      daemon = await start(port);
    },
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      folder[Symbol.dispose]();
    },
  };
}
