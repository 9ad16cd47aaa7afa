import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The SHA-1 of a password, as the range format splits it. */
export function split(password: string): { prefix: string; suffix: string } {
  const hash = createHash('sha1').update(password).digest('hex').toUpperCase();
  return { prefix: hash.slice(0, 5), suffix: hash.slice(5) };
}

/** A line of an answer; a password that has leaked 0 times only pads it. */
export const line = (password: string, count: number) => `${split(password).suffix}:${count}`;

/** A server that knows leaked passwords, answering as a test says. */
export class BreachServer {
  readonly requests: IncomingMessage[] = [];
  answer: (response: ServerResponse) => void = (response) => response.end(line('nobody has this', 1));
  readonly #server = createServer((request, response) => {
    this.requests.push(request);
    this.answer(response);
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
