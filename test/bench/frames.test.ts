import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeCall, FrameReader, frame, grpcStatusIn, HEADERS, onStream } from '../../bench/load/frames.ts';
import { Load } from '../../bench/load/load.ts';
import { fieldAt } from '../../bench/load/message.ts';

const servers: Http2Server[] = [];
afterEach(() => servers.splice(0).map((server) => server.close()));

interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Answers every call with the message and the status, as a gRPC server does; remembers what it was sent. */
function serve(seen: Seen[], answer: (body: Buffer) => { message?: Buffer; status: string }): Promise<number> {
  const server = createServer({ settings: { maxConcurrentStreams: 1000 } });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const body = Buffer.concat(chunks);
      seen.push({ headers, body });
      const { message, status } = answer(body);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status, 'grpc-message': 'as asked' }));
      stream.end(message ?? Buffer.alloc(5));
    });
  });
  servers.push(server);
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
}

const HEADER_LIST = {
  ':method': 'POST',
  ':scheme': 'http',
  ':authority': 'localhost',
  ':path': '/bench.Test/Call',
  te: 'trailers',
  'x-long': 'v'.repeat(300),
};

describe('Load over gRPC', () => {
  it('sends calls that node:http2 understands, and counts the answers', async () => {
    const seen: Seen[] = [];
    const port = await serve(seen, () => ({ status: '0' }));
    const requests = ['first', 'second'].map((text) => Buffer.from(text));
    const load = new Load({ target: { protocol: 'grpc', port, headers: HEADER_LIST, requests }, connections: 2, inFlight: 6 });
    const burst = await load.burst(0.2);
    load.close();
    expect(burst.requests).toBeGreaterThan(20);
    expect(seen.length).toBe(burst.requests);
    for (const { headers } of seen) expect(headers).toMatchObject(HEADER_LIST);
    const bodies = new Set(seen.map(({ body }) => body.toString('latin1')));
    expect(bodies).toEqual(new Set(['\0\0\0\0\x05first', '\0\0\0\0\x06second']));
  });

  it.each(['5', '16'])('fails with the status where it is not 0: %s', async (status) => {
    const port = await serve([], () => ({ status }));
    const load = new Load({
      target: { protocol: 'grpc', port, headers: HEADER_LIST, requests: [Buffer.alloc(0)] },
      connections: 1,
      inFlight: 1,
    });
    await expect(load.burst(5)).rejects.toThrow(`grpc-status ${status}`);
  });

  it('presents in a chain what the answer before has said', async () => {
    const seen: Seen[] = [];
    // Field 1 holds a message, whose field 4 is the next token: one more than the one presented.
    const port = await serve(seen, (body) => {
      const next = String(Number(body.subarray(-4)) + 1).padStart(4, '0');
      return { status: '0', message: Buffer.from(`\0\0\0\0\x08\x0a\x06\x22\x04${next}`, 'latin1') };
    });
    const requests = [Buffer.from('1000'), Buffer.from('5000')];
    const chain = { answerPath: [1, 4], requestOffset: 0 };
    const load = new Load({ target: { protocol: 'grpc', port, headers: HEADER_LIST, requests }, connections: 1, inFlight: 2, chain });
    await load.burst(0.1);
    await load.burst(0.1);
    load.close();
    const presented = seen.map(({ body }) => Number(body.subarray(-4)));
    const [ones, fives] = [presented.filter((n) => n < 5000), presented.filter((n) => n >= 5000)];
    expect(ones).toEqual(ones.map((_, index) => 1000 + index));
    expect(fives).toEqual(fives.map((_, index) => 5000 + index));
  });

  it('sends more than a window holds as soon as the server has made room', async () => {
    const port = await serve([], () => ({ status: '0' }));
    const requests = [Buffer.alloc(12_000)];
    const load = new Load({ target: { protocol: 'grpc', port, headers: HEADER_LIST, requests }, connections: 1, inFlight: 30 });
    expect((await load.burst(0.2)).requests).toBeGreaterThan(60);
    load.close();
  });
});

describe('frames', () => {
  it('are found however the bytes are cut', () => {
    const frames: [number, number, string][] = [];
    const reader = new FrameReader((type, _flags, stream, payload) => frames.push([type, stream, payload.toString()]));
    const bytes = Buffer.concat([frame(HEADERS, 4, 1, Buffer.from('one')), frame(0, 1, 3), frame(0, 1, 5, Buffer.from('two'))]);
    for (const byte of bytes) reader.push(Buffer.of(byte));
    reader.push(bytes);
    const expected = [
      [1, 1, 'one'],
      [0, 3, ''],
      [0, 5, 'two'],
    ];
    expect(frames).toEqual([...expected, ...expected]);
  });

  it('put both frames of a call on the stream', () => {
    const streams: number[] = [];
    new FrameReader((_type, _flags, stream) => streams.push(stream)).push(
      onStream(encodeCall(HEADER_LIST, Buffer.from('hi'), 'spelt out'), 77),
    );
    expect(streams).toEqual([77, 77]);
  });

  it('tell no status where there is none', () => {
    expect(grpcStatusIn(Buffer.of(0x88))).toBeUndefined();
  });
});

describe('fieldAt', () => {
  it('skips fields of every type', () => {
    // 1: varint 300, 2: fixed64, 3: fixed32, 4: "no", 5: "yes"
    const message = Buffer.from('08ac02 11 0102030405060708 1d 01020304 2202 6e6f 2a03 796573'.replaceAll(' ', ''), 'hex');
    expect(fieldAt(message, [5]).toString()).toBe('yes');
    expect(() => fieldAt(message, [9])).toThrow('field 9');
  });
});
