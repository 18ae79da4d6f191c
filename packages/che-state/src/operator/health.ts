/** What the kubelet and Prometheus ask. */
import { createServer } from 'node:http';
import { EngineError } from 'restic-engine';

export interface HealthAnswers {
  readonly isReady: () => boolean;
  readonly metrics: () => string;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects with `io` when the port cannot be had. */
export async function serveHealth(
  port: number,
  host: string | undefined,
  { isReady, metrics }: HealthAnswers,
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const send = (status: number, text: string): void => {
      response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      response.end(request.method === 'HEAD' ? undefined : text);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'only GET and HEAD\n');
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return send(200, 'ok\n');
      case '/readyz':
        return isReady() ? send(200, 'ok\n') : send(503, 'not ready yet\n');
      case '/metrics':
        return send(200, metrics());
      default:
        return send(404, 'there is /healthz, /readyz and /metrics\n');
    }
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  try {
    await promise;
  } catch (error) {
    throw new EngineError('io', `cannot listen on port ${port}`, { port }, { cause: error });
  }
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}
