import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Stands between a service and its database, so that a test can take the database away and give it back at the same address. */
export interface TcpProxy {
  /** The given URL, by way of the proxy. */
  readonly url: string;
  /** Like a server that was stopped: open connections are reset, new ones are refused. */
  refuse(): Promise<void>;
  /** Like a server that hangs: connections are accepted, but nothing comes back. */
  freeze(): void;
  /** The same, like a network that is cut: of the connections that are open, neither side ever learns that the other one has gone. */
  lose(): void;
  /** Resets the open connections; new ones are served. */
  cut(): void;
  /** Serves again: what was frozen goes on where it was. */
  restore(): Promise<void>;
  /** Serves again, but what was frozen never answers: like a server that was replaced behind the same address. */
  replace(): void;
  /** Leads new connections to another port. */
  redirect(url: string): void;
  close(): Promise<void>;
}

interface Pipe {
  readonly client: Socket;
  readonly upstream: Socket;
}

export async function startTcpProxy(target: string): Promise<TcpProxy> {
  let upstreamPort = Number(new URL(target).port);
  let frozen = false;
  let open = new Set<Pipe>();
  const abandoned: Pipe[] = [];
  const server = createServer((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1');
    const pipe = { client, upstream };
    open.add(pipe);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => {
        if (open.delete(pipe)) to.destroy();
      });
      from.pipe(to);
    }
    if (frozen) hold(pipe);
  });
  const listen = async (port: number) => void (await once(server.listen(port, '127.0.0.1'), 'listening'));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const url = new URL(target);
  url.port = String(port);

  const cut = () => {
    for (const pipe of open) reset(pipe);
  };
  const refuse = async () => {
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  };
  const freeze = () => {
    frozen = true;
    for (const pipe of open) hold(pipe);
  };
  const forget = () => {
    abandoned.push(...open);
    open = new Set();
  };
  return {
    url: url.href,
    refuse,
    freeze,
    lose() {
      freeze();
      forget();
    },
    cut,
    async restore() {
      frozen = false;
      for (const pipe of open) release(pipe);
      if (!server.listening) await listen(port);
    },
    replace() {
      frozen = false;
      forget();
    },
    redirect(to) {
      upstreamPort = Number(new URL(to).port);
    },
    async close() {
      abandoned.forEach(reset);
      if (server.listening) await refuse();
    },
  };
}

function reset({ client, upstream }: Pipe): void {
  client.resetAndDestroy();
  upstream.destroy();
}

function hold({ client, upstream }: Pipe): void {
  for (const socket of [client, upstream]) socket.unpipe().pause();
}

function release({ client, upstream }: Pipe): void {
  client.pipe(upstream);
  upstream.pipe(client);
}
