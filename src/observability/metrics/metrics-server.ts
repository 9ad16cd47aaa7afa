import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ListenError } from '../../settings/start-error.ts';

/** The metrics that are offered: of this process, or of several. */
export interface MetricsText {
  readonly contentType: string;
  /** In the text format of Prometheus. */
  text(): Promise<string>;
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Offers the metrics at /metrics, to whoever reaches the address. */
export async function serveMetrics(metrics: MetricsText, host: string, port: number): Promise<MetricsServer> {
  const server = createServer(answer(metrics));
  server.listen(port, host);
  await once(server, 'listening').catch((error: Error) => {
    throw new ListenError(`${host}:${port} for metrics`, error);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      // A collector keeps its connection for the next time.
      server.closeAllConnections();
    },
  };
}

function answer(metrics: MetricsText): RequestListener {
  return (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      // One that cannot be measured must not end the service.
      () => response.writeHead(500).end(),
    );
  };
}
