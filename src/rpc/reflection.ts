import type { Server, ServerDuplexStream, ServiceDefinition } from '@grpc/grpc-js';
import { IdentityError } from '../call/errors.ts';
import { CallEnd } from './call-end.ts';
import { requestIdOf } from './request-id.ts';
import { toGrpcStatus } from './status.ts';
import { MAX_IDLE_MS, notIdle, OpenStreams, send } from './stream.ts';

/** Takes an encoded ServerReflectionRequest, gives an encoded ServerReflectionResponse. */
type Answer = (question: Buffer) => Buffer;

type Stream = ServerDuplexStream<Buffer, Buffer>;

/** Everybody who can connect may ask, without a name: together they are one caller. */
const EVERYBODY = '';

/**
 * Server reflection, v1 and v1alpha (which older grpcurl asks for). They differ in nothing but their names.
 *
 * The library that knows descriptors, and what it makes of ours, take 8 MB, and longer than anything else at the start: that is for when
 * somebody asks.
 */
export function addReflection(server: Server): void {
  let loaded: Promise<Answer> | undefined;
  const open = new OpenStreams();
  const answerAll = async (stream: Stream) => {
    const end = new CallEnd(stream);
    try {
      using _open = open.begin(EVERYBODY);
      loaded ??= import('./reflected-files.ts').then(({ answerReflection }) => answerReflection());
      const answer = await loaded;
      // An answer has a hundred times the bytes of its question: whoever does not read them is asked no further.
      for await (const question of notIdle<Buffer>(stream.iterator({ destroyOnReturn: false }), MAX_IDLE_MS)) {
        await send(stream, answerTo(question, answer), end.signal);
      }
      end.disarm();
      stream.end();
    } catch (error) {
      end.disarm();
      if (error instanceof IdentityError) stream.emit('error', toGrpcStatus(error, requestIdOf(stream.metadata)));
      else stream.destroy();
    }
  };
  for (const version of ['v1', 'v1alpha']) server.addService(undecoded(version), { serverReflectionInfo: answerAll });
}

function answerTo(question: Buffer, answer: Answer): Buffer {
  try {
    return answer(question);
  } catch {
    throw new IdentityError({
      code: 'INVALID_ARGUMENT',
      reason: 'MALFORMED_MESSAGE',
      message: 'the question is not a ServerReflectionRequest',
    });
  }
}

function undecoded(version: string): ServiceDefinition {
  const asItIs = (bytes: Buffer) => bytes;
  return {
    serverReflectionInfo: {
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      requestStream: true,
      responseStream: true,
      requestSerialize: asItIs,
      requestDeserialize: asItIs,
      responseSerialize: asItIs,
      responseDeserialize: asItIs,
    },
  };
}
