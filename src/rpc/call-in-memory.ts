import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { connect, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js';

/** A unary call as grpc-js gives it to a handler, with a message of bytes. */
export type GrpcCall = ServerUnaryCall<Buffer, Buffer>;

const PATH = '/identity.internal/Echo';
/** An empty message: a flag, and four bytes of length. */
const EMPTY = Buffer.alloc(5);
/** It is answered in some milliseconds; a library that does not answer must not keep the service from starting. */
const PATIENCE_MS = 5000;

/**
 * Makes a call to a server of its own, without a network, and lets `examine` see it at the moment when its stream is closed. Undefined where
 * that cannot be seen: older versions of Node do not tell.
 */
export async function callInMemory<T>(examine: (call: GrpcCall, stream: ServerHttp2Stream) => T): Promise<T | undefined> {
  const seen = Promise.withResolvers<T | undefined>();
  let call: GrpcCall | undefined;
  let stream: ServerHttp2Stream | undefined;
  const onStart = (message: unknown) => {
    const started = message as { readonly stream: ServerHttp2Stream; readonly headers: Readonly<Record<string, unknown>> };
    if (started.headers[':path'] === PATH) stream = started.stream;
  };
  const onClose = (message: unknown) => {
    if ((message as { readonly stream: unknown }).stream !== stream) return;
    seen.resolve(call && stream && examine(call, stream));
  };
  const server = echoServer((received) => {
    call = received;
  });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const [clientSide, serverSide] = duplexPair();
  injector.injectConnection(serverSide);
  const session = connect('http://localhost', { createConnection: () => clientSide }).on('error', () => undefined);
  subscribe('http2.server.stream.start', onStart);
  subscribe('http2.server.stream.close', onClose);
  try {
    const request = session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' });
    request.on('error', () => undefined).resume();
    request.on('close', () => stream ?? seen.resolve(undefined));
    request.end(EMPTY);
    return await Promise.race([seen.promise, sleep(PATIENCE_MS, undefined, { ref: false })]);
  } finally {
    unsubscribe('http2.server.stream.start', onStart);
    unsubscribe('http2.server.stream.close', onClose);
    session.destroy();
    injector.destroy();
    server.forceShutdown();
  }
}

function echoServer(received: (call: GrpcCall) => void): Server {
  const asItIs = (bytes: Buffer) => bytes;
  const codec = { requestSerialize: asItIs, requestDeserialize: asItIs, responseSerialize: asItIs, responseDeserialize: asItIs };
  const server = new Server({ 'grpc.enable_channelz': 0 });
  server.addService(
    { echo: { path: PATH, requestStream: false, responseStream: false, ...codec } },
    {
      echo: (call: GrpcCall, callback: (error: null, answer: Buffer) => void) => {
        received(call);
        callback(null, call.request);
      },
    },
  );
  return server;
}
