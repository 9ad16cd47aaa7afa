import type { MethodDefinition, Server } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { DESCRIPTORS, filesOf, textOf } from './descriptors.ts';

/** What the library knows of the files, which its types keep private. */
interface Reflected {
  readonly files: Readonly<Record<string, ReflectedFile>>;
  readonly fileDependencies: Map<ReflectedFile, ReflectedFile[]>;
  readonly fileEncodings: Map<ReflectedFile, Uint8Array>;
  addToServer(server: Pick<Server, 'addService'>): void;
  handleServerReflectionRequest(request: object): object;
}

interface ReflectedFile {
  readonly dependency: readonly string[];
}

/** The fields that are read of the messages of google/protobuf/descriptor.proto. */
const FILE = { name: 1 };

/** Answers encoded questions, with the very descriptors that buf built: comments and options are in them. */
export function answerReflection(): (question: Buffer) => Buffer {
  const reflected = reflect();
  const { requestDeserialize, responseSerialize } = methodOf(reflected);
  return (question) => responseSerialize(reflected.handleServerReflectionRequest(requestDeserialize(question)));
}

/**
 * The library encodes the files anew without the options that it does not know (who may call an RPC), and sends along with a file what
 * its messages mention, not all that it imports (access.proto). A test holds this against the library.
 */
function reflect(): Reflected {
  const encodings = filesOf(DESCRIPTORS);
  const { v1 } = new ReflectionService({}) as unknown as { readonly v1: Reflected };
  const Library = v1.constructor as new (packages: PackageDefinition) => Reflected;
  const reflected = new Library({ all: { fileDescriptorProtos: encodings } } as unknown as PackageDefinition);
  const { files, fileDependencies, fileEncodings } = reflected;
  for (const encoding of encodings) {
    const file = files[textOf(encoding, FILE.name)];
    if (!file) continue;
    fileEncodings.set(file, encoding);
    fileDependencies.set(
      file,
      file.dependency.flatMap((name) => files[name] ?? []),
    );
  }
  return reflected;
}

/** How questions are decoded and answers encoded, which the library tells nobody but a server. */
function methodOf(reflected: Reflected): MethodDefinition<object, object> {
  const methods: object[] = [];
  reflected.addToServer({ addService: (definition) => methods.push(...Object.values(definition)) });
  return methods[0] as MethodDefinition<object, object>;
}
