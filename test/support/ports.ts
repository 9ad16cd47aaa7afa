import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';

export interface Listener {
  readonly server: Server;
  readonly port: number;
}

/** Holds a port and takes connections on it, but never says a word. */
export async function listening(): Promise<Listener> {
  // It keeps nobody from ending.
  const server = createServer().listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

/** Where nobody listens, for the moment. */
export async function freePort(): Promise<number> {
  const { server, port } = await listening();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
