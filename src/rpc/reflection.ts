import { status as code, type Server, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';

/** Takes an encoded ServerReflectionRequest, gives an encoded ServerReflectionResponse. */
type Answer = (question: Buffer) => Buffer;

/**
 * Server reflection, v1 and v1alpha (which older grpcurl asks for). They differ in nothing but their names.
 *
 * The library that knows descriptors, and what it makes of ours, take 8 MB, and longer than anything else at the start: that is for when
 * somebody asks.
 */
export function addReflection(server: Server): void {
  let loaded: Promise<Answer> | undefined;
  const answerAll = async (stream: ServerDuplexStream<Buffer, Buffer>) => {
    loaded ??= import('./reflected-files.ts').then(({ answerReflection }) => answerReflection());
    const answer = await loaded;
    stream.on('end', () => stream.end());
    stream.on('data', (question: Buffer) => {
      try {
        stream.write(answer(question));
      } catch {
        stream.emit('error', { code: code.INVALID_ARGUMENT, details: 'the question is not a ServerReflectionRequest' });
      }
    });
  };
  for (const version of ['v1', 'v1alpha']) server.addService(undecoded(version), { serverReflectionInfo: answerAll });
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
