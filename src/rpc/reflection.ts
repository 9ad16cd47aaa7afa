import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProto } from 'grpc-health-check';
import { DESCRIPTORS } from './descriptors.ts';

/**
 * Server reflection, v1 and v1alpha (which older grpcurl asks for). It serves the very descriptors that buf built, with comments and
 * options; going through proto-loader would lose them.
 *
 * What the library makes of them takes 5 MB, and longer than anything else at the start: that is for when somebody asks.
 */
export function addReflection(server: Server): void {
  const reflection = new ReflectionService({});
  reflection.addToServer(server);
  const { v1, v1Alpha } = reflection as unknown as Versions;
  let full: Reflected | undefined;
  const answer: Reflected['handleServerReflectionRequest'] = (request) => {
    full ??= reflect(v1.constructor as ReflectedClass);
    return full.handleServerReflectionRequest(request);
  };
  // They differ in nothing but their names.
  for (const version of [v1, v1Alpha]) version.handleServerReflectionRequest = answer;
}

type Versions = Readonly<Record<'v1' | 'v1Alpha', Reflected>>;
type ReflectedClass = new (packages: PackageDefinition) => Reflected;

/** What the library knows of the files, which its types keep private. */
interface Reflected {
  readonly files: Readonly<Record<string, ReflectedFile>>;
  readonly fileDependencies: Map<ReflectedFile, ReflectedFile[]>;
  readonly fileEncodings: Map<ReflectedFile, Uint8Array>;
  handleServerReflectionRequest(request: unknown): unknown;
}

interface ReflectedFile {
  readonly dependency: readonly string[];
}

/**
 * The library encodes the files anew without the options that it does not know (who may call an RPC), and sends along with a file what
 * its messages mention, not all that it imports (access.proto). A test holds this against the library.
 */
function reflect(Library: ReflectedClass): Reflected {
  const encodings = [...splitFileDescriptorSet(DESCRIPTORS), ...healthFiles()];
  const reflected = new Library({ all: { fileDescriptorProtos: encodings } } as unknown as PackageDefinition);
  const { files, fileDependencies, fileEncodings } = reflected;
  for (const encoding of encodings) {
    const file = files[fromBinary(FileDescriptorProtoSchema, encoding).name];
    if (!file) continue;
    fileEncodings.set(file, encoding);
    fileDependencies.set(
      file,
      file.dependency.flatMap((name) => files[name] ?? []),
    );
  }
  return reflected;
}

/** The encoded files of a google.protobuf.FileDescriptorSet, which has a single field: `repeated FileDescriptorProto file = 1`. */
function splitFileDescriptorSet(bytes: Buffer): Buffer[] {
  const reader = new BinaryReader(bytes);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType, field);
  }
  return files;
}

/** The health service has no descriptors but those that proto-loader makes of its proto. */
function healthFiles(): Buffer[] {
  const { fileDescriptorProtos } = loadSync(healthProto)['grpc.health.v1.HealthCheckRequest'] as MessageTypeDefinition<object, object>;
  return fileDescriptorProtos.map(withMapEntryNames);
}

/** The entry of `map<…> statuses` is a message `StatusesEntry`; proto-loader drops the suffix, and grpcurl then refuses the whole file. */
function withMapEntryNames(bytes: Uint8Array): Buffer {
  const file = fromBinary(FileDescriptorProtoSchema, bytes);
  for (const { field: fields, nestedType } of file.messageType) {
    for (const entry of nestedType.filter(({ options }) => options?.mapEntry)) {
      for (const field of fields.filter(({ typeName }) => typeName === entry.name)) field.typeName = `${entry.name}Entry`;
      entry.name = `${entry.name}Entry`;
    }
  }
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file));
}
