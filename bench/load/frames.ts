/**
 * As much of HTTP/2 (RFC 9113) as it takes to make one unary gRPC call after another: node:http2 would cost more than the servers that are
 * to be measured.
 */
export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;

export const END_STREAM = 0x1;
export const ACK = 0x1;
const END_HEADERS = 0x4;

const HEAD_BYTES = 9;
/** What a connection may send before the other side has said more (§6.9.2). */
export const INITIAL_WINDOW = 65_535;
const LARGEST_WINDOW = 2 ** 31 - 1;
const STATIC_ENTRIES = 61;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

/** Lets the other side send this many bytes more, over all streams. */
export function windowUpdate(increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(WINDOW_UPDATE, 0, 0, payload);
}

/** No dynamic table: every header block of the server can be read by itself. No push. Streams may answer with any amount. */
const OUR_SETTINGS = [
  [1, 0],
  [2, 0],
  [4, LARGEST_WINDOW],
] as const;

/** What a client says first (§3.4). */
export function preface(): Buffer {
  const settings = Buffer.alloc(OUR_SETTINGS.length * 6);
  for (const [index, [id, value]] of OUR_SETTINGS.entries()) {
    settings.writeUInt16BE(id, index * 6);
    settings.writeUInt32BE(value, index * 6 + 2);
  }
  const magic = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  return Buffer.concat([magic, frame(SETTINGS, 0, 0, settings), windowUpdate(LARGEST_WINDOW - INITIAL_WINDOW)]);
}

/** A unary call but for the number of its stream. */
export interface EncodedCall {
  readonly bytes: Buffer;
  /** Where the message begins, and what of the window it takes. */
  readonly messageAt: number;
  readonly windowBytes: number;
}

/** As gRPC libraries do: the first call on a connection spells the headers out, and later ones point to what the server remembers. */
export type HeaderForm = 'spelt out' | 'remembered';

export function encodeCall(headers: Readonly<Record<string, string>>, message: Uint8Array, form: HeaderForm): EncodedCall {
  const body = Buffer.alloc(5 + message.length);
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  const head = frame(HEADERS, END_HEADERS, 0, form === 'spelt out' ? spellOut(headers) : refer(headers));
  const bytes = Buffer.concat([head, frame(DATA, END_STREAM, 0, body)]);
  return { bytes, messageAt: bytes.length - message.length, windowBytes: body.length };
}

/** The call on a stream. The bytes are the call's own: to be sent or copied before they are addressed again. */
export function onStream({ bytes }: EncodedCall, stream: number): Buffer {
  const dataAt = HEAD_BYTES + bytes.readUIntBE(0, 3);
  bytes.writeUInt32BE(stream, 5);
  bytes.writeUInt32BE(stream, dataAt + 5);
  return bytes;
}

/** Each a literal with a literal name that enters the dynamic table (RFC 7541 §6.2.1). */
function spellOut(headers: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.of(0x40), text(name), text(value)]));
}

/** The dynamic table comes after the static one, the latest entry first (§2.3.3, §6.1). */
function refer(headers: Readonly<Record<string, string>>): Buffer {
  const count = Object.keys(headers).length;
  return Buffer.from(Array.from({ length: count }, (_, entry) => 0x80 | (STATIC_ENTRIES + count - entry)));
}

/** A string that is not Huffman-coded, and its length with a prefix of seven bits (§5.1, §5.2). */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length: number[] = [];
  let rest = bytes.length - 127;
  if (rest < 0) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.of(127, ...length, rest), bytes]);
}

/** `grpc-status` as servers send it: Huffman-coded, eight bytes. */
const STATUS_NAME = Buffer.from('889acac8b21234da8f', 'hex');

/** The gRPC status in a header block, or undefined. Its digits are never Huffman-coded: that would not make them shorter. */
export function grpcStatusIn(block: Buffer): number | undefined {
  const found = block.indexOf(STATUS_NAME);
  if (found < 0) return undefined;
  const at = found + STATUS_NAME.length;
  return Number(block.toString('latin1', at + 1, at + 1 + (block[at] ?? 0)));
}

export type OnFrame = (type: number, flags: number, stream: number, payload: Buffer) => void;

/** Cuts what arrives into frames. A payload is good only during the call. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);
  readonly #onFrame: OnFrame;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
      this.#onFrame(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), stream, bytes.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}
