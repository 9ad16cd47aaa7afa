import { connect, type Socket } from 'node:net';
import type { Answers, Connection, Target } from './connection.ts';
import {
  ACK,
  DATA,
  END_STREAM,
  type EncodedCall,
  encodeCall,
  FrameReader,
  frame,
  GOAWAY,
  grpcStatusIn,
  HEADERS,
  INITIAL_WINDOW,
  onStream,
  PING,
  preface,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
  windowUpdate,
} from './frames.ts';

/** After so many bytes of answers the server is told that it may send them again. */
const REOPEN_AFTER = 2 ** 28;
const MESSAGE_HEAD_BYTES = 5;

/** Unary gRPC calls over one connection, without any library. */
export class GrpcConnection implements Connection {
  readonly #socket: Socket;
  readonly #answers: Answers;
  readonly #wantsBody: boolean;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #calls: readonly EncodedCall[];
  readonly #slots = new Map<number, number>();
  readonly #bodies = new Map<number, Buffer>();
  readonly #reader = new FrameReader((type, flags, stream, payload) => this.#onFrame(type, flags, stream, payload));
  #outgoing: Buffer[] = [preface()];
  #waiting: [slot: number, request: number][] = [];
  #nextStream = 1;
  #window = INITIAL_WINDOW;
  #received = 0;
  #closed = false;

  constructor({ port, headers = {}, requests }: Target, answers: Answers, wantsBody: boolean) {
    this.#answers = answers;
    this.#wantsBody = wantsBody;
    this.#headers = headers;
    this.#calls = requests.map((message) => encodeCall(headers, message, 'remembered'));
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      this.flush();
    });
    this.#socket.on('error', ({ message }) => this.#fail(message));
    this.#socket.on('close', () => this.#fail('the server closed the connection'));
  }

  send(slot: number, request: number): void {
    const call = this.#calls[request] as EncodedCall;
    if (call.windowBytes > this.#window) {
      this.#waiting.push([slot, request]);
      return;
    }
    this.#window -= call.windowBytes;
    this.#slots.set(this.#nextStream, slot);
    // Copied: the same call may be sent on another stream before this one is flushed.
    this.#outgoing.push(Buffer.from(onStream(this.#nextStream === 1 ? this.#first(call) : call, this.#nextStream)));
    this.#nextStream += 2;
  }

  patch(request: number, offset: number, text: string): void {
    const { bytes, messageAt } = this.#calls[request] as EncodedCall;
    bytes.write(text, messageAt + offset, 'latin1');
  }

  flush(): void {
    if (this.#outgoing.length === 0) return;
    this.#socket.write(this.#outgoing.length === 1 ? (this.#outgoing[0] as Buffer) : Buffer.concat(this.#outgoing));
    this.#outgoing = [];
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #first({ bytes, messageAt }: EncodedCall): EncodedCall {
    return encodeCall(this.#headers, bytes.subarray(messageAt), 'spelt out');
  }

  #fail(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.#answers.onFailure(reason);
  }

  #onFrame(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === DATA) this.#onData(stream, payload);
    else if (type === HEADERS) {
      if (flags & END_STREAM) this.#onTrailers(stream, payload);
    } else if (type === WINDOW_UPDATE) {
      if (stream === 0) this.#onWindow(payload.readUInt32BE());
    } else if (type === SETTINGS || type === PING) {
      if (!(flags & ACK)) this.#outgoing.push(frame(type, ACK, 0, type === PING ? payload : undefined));
    } else if (type === RST_STREAM || type === GOAWAY) {
      this.#fail(`the server sent ${type === GOAWAY ? 'GOAWAY' : 'RST_STREAM'} (${payload.toString('hex')})`);
    }
  }

  #onData(stream: number, payload: Buffer): void {
    this.#received += payload.length;
    if (this.#received > REOPEN_AFTER) {
      this.#outgoing.push(windowUpdate(this.#received));
      this.#received = 0;
    }
    if (!this.#wantsBody) return;
    const before = this.#bodies.get(stream);
    this.#bodies.set(stream, before ? Buffer.concat([before, payload]) : Buffer.from(payload));
  }

  #onTrailers(stream: number, block: Buffer): void {
    const status = grpcStatusIn(block);
    if (status !== 0) {
      this.#fail(`grpc-status ${status ?? 'is missing'}`);
      return;
    }
    const slot = this.#slots.get(stream) as number;
    const body = this.#bodies.get(stream)?.subarray(MESSAGE_HEAD_BYTES);
    this.#slots.delete(stream);
    this.#bodies.delete(stream);
    this.#answers.onAnswer(slot, body);
  }

  #onWindow(increment: number): void {
    this.#window += increment;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const [slot, request] of waiting) this.send(slot, request);
  }
}
