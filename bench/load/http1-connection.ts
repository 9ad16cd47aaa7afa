import { connect, type Socket } from 'node:net';
import type { Answers, Connection, Target } from './connection.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const OK = Buffer.from('HTTP/1.1 200 ');
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n');

/** HTTP/1.1 with keep-alive: one request at a time, as browsers and agents of Node do. */
export class Http1Connection implements Connection {
  readonly #socket: Socket;
  readonly #answers: Answers;
  readonly #requests: readonly Uint8Array[];
  #slot = 0;
  #outgoing: Uint8Array | undefined;
  #incoming: Buffer = Buffer.alloc(0);
  #closed = false;

  constructor({ port, requests }: Target, answers: Answers) {
    this.#answers = answers;
    this.#requests = requests;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on('error', ({ message }) => this.#fail(message));
    this.#socket.on('close', () => this.#fail('the server closed the connection'));
  }

  send(slot: number, request: number): void {
    this.#slot = slot;
    this.#outgoing = this.#requests[request];
  }

  patch(): void {
    throw new Error('chains over HTTP/1.1 are not needed');
  }

  flush(): void {
    if (this.#outgoing === undefined) return;
    this.#socket.write(this.#outgoing);
    this.#outgoing = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #fail(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.#answers.onFailure(reason);
  }

  #onData(chunk: Buffer): void {
    this.#incoming = this.#incoming.length > 0 ? Buffer.concat([this.#incoming, chunk]) : chunk;
    const answer = this.#incoming;
    const headEnd = answer.indexOf(HEAD_END);
    if (headEnd < 0 || !isComplete(answer, headEnd + HEAD_END.length)) return;
    this.#incoming = Buffer.alloc(0);
    if (answer.subarray(0, OK.length).equals(OK)) this.#answers.onAnswer(this.#slot, answer.subarray(headEnd + HEAD_END.length));
    else this.#fail(answer.toString('utf8', 0, 600));
    this.flush();
  }
}

function isComplete(answer: Buffer, bodyAt: number): boolean {
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.toString('latin1', 0, bodyAt))?.[1];
  if (length !== undefined) return answer.length >= bodyAt + Number(length);
  return answer.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK);
}
