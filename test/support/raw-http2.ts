import { type ClientHttp2Session, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
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

/** A client that sends whatever bytes and headers it is told to, as no gRPC library would. */
export interface RawClient {
  call(path: string, body: Uint8Array, headers?: OutgoingHttpHeaders): Promise<Outcome>;
  close(): void;
}

export function connectRaw(address: string): RawClient {
  const session = connect(`http://${address}`);
  // A stream that is refused reports it, too.
  session.on('error', () => undefined);
  return { call: (path, body, headers = {}) => call(session, path, body, headers), close: () => session.destroy() };
}

function call(session: ClientHttp2Session, path: string, body: Uint8Array, headers: OutgoingHttpHeaders): Promise<Outcome> {
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers });
  return new Promise((resolve, reject) => {
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
    stream.end(body);
  });
}

function toOutcome(received: IncomingHttpHeaders): Outcome {
  if (received['grpc-status'] === '0') return { code: 'OK' };
  const metadata: Metadata = GrpcMetadata.fromHttp2Headers(received);
  const details = decodeURIComponent(String(received['grpc-message'] ?? ''));
  return decode({ code: Number(received['grpc-status']), details, metadata } as ServiceError);
}
