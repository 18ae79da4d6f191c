/** `rclone serve restic`: another program that speaks restic's REST protocol. */
import type { Peer } from '../peers/peers.ts';
import { startDaemon } from './daemon.ts';
import type { Server } from './server.ts';

const USER = 'tester';
const PASSWORD = 'another secret';

/**
 * Keeps its files in memory, where they appear whole as on the object stores that rclone is for (in a folder it writes
 * them under their final names), so it cannot be started again with the same data. It replaces what is there already.
 */
export async function startRclone(peer: Peer): Promise<Server> {
  const daemon = await startDaemon({
    command: peer.path,
    args: ['serve', 'restic', '--config', '/dev/null', '--addr', '127.0.0.1:0', ':memory:'],
    env: { RCLONE_USER: USER, RCLONE_PASS: PASSWORD },
    ready: /Serving restic REST API on \[http:\/\/127\.0\.0\.1:(\d+)/,
  });
  const { port } = daemon;
  return {
    port,
    place: async (name, { port: through = port } = {}) => ({
      location: `rest:http://127.0.0.1:${through}/${name}/`,
      env: { RESTIC_REST_USERNAME: USER, RESTIC_REST_PASSWORD: PASSWORD },
      options: [],
      secrets: [PASSWORD],
    }),
    restart: () => Promise.reject(new Error('what rclone keeps in memory would be lost')),
    [Symbol.asyncDispose]: () => daemon.kill(),
  };
}
