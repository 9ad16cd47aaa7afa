import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { Metadata as GrpcMetadata, type Metadata, type ServiceError } from '@grpc/grpc-js';
import { decode, type Failure } from './expect-status.ts';

/** A gRPC frame: whether its content is compressed, its length, its content. */
export function frame(content: Uint8Array, { compressed = false, length = content.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, content]);
}

/** What came back for one call: `OK`, or the failure with its details. */
export type Outcome = { readonly code: 'OK' } | Failure;

export interface RawCall {
  readonly stream: ClientHttp2Stream;
  readonly outcome: Promise<Outcome>;
}

/** A client that sends whatever bytes and headers it is told to, as no gRPC library would. */
export interface RawClient {
  call(path: string, body: Uint8Array, headers?: OutgoingHttpHeaders): Promise<Outcome>;
  /** Begins a call, and leaves it to the test to send the rest. */
  open(path: string, headers?: OutgoingHttpHeaders): RawCall;
  close(): void;
}

export function connectRaw(address: string): RawClient {
  const session = connect(`http://${address}`);
  // A stream that is refused reports it, too.
  session.on('error', () => undefined);
  const call = (path: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}) => {
    const { stream, outcome } = open(session, path, headers);
    stream.end(body);
    return outcome;
  };
  return { call, open: (path, headers = {}) => open(session, path, headers), close: () => session.destroy() };
}

function open(session: ClientHttp2Session, path: string, headers: OutgoingHttpHeaders): RawCall {
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers });
  const outcome = new Promise<Outcome>((resolve, reject) => {
    let status: IncomingHttpHeaders = {};
    stream.on('response', (received) => {
      status = { ...status, ...received };
    });
    stream.on('trailers', (received) => {
      status = { ...status, ...received };
    });
    stream.on('error', reject);
    stream.on('close', () => resolve(toOutcome(status)));
    stream.resume();
  });
  return { stream, outcome };
}

function toOutcome(received: IncomingHttpHeaders): Outcome {
  if (received['grpc-status'] === '0') return { code: 'OK' };
  const metadata: Metadata = GrpcMetadata.fromHttp2Headers(received);
  const details = decodeURIComponent(String(received['grpc-message'] ?? ''));
  return decode({ code: Number(received['grpc-status']), details, metadata } as ServiceError);
}
