import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const ACCEPTED = 'net.server.socket';

/** The connections that a port of this process has accepted, from now on, and that are open. grpc-js does not give them out. */
export class Connections {
  readonly #port: number;
  readonly #open = new Set<Socket>();

  constructor(port: number) {
    this.#port = port;
    subscribe(ACCEPTED, this.#onAccepted);
  }

  /** Ends them all, without a word: to a gRPC client the calls on them are UNAVAILABLE. */
  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** No more are expected. */
  stop(): void {
    unsubscribe(ACCEPTED, this.#onAccepted);
  }

  readonly #onAccepted = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    if (socket.localPort !== this.#port) return;
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
  };
}
