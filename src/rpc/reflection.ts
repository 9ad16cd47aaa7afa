import { readFileSync } from 'node:fs';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Server } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProto } from 'grpc-health-check';

const DESCRIPTORS = new URL('../gen/descriptors.binpb', import.meta.url);

/**
 * Server reflection, v1 and v1alpha (which older grpcurl asks for). It serves the very descriptors that buf built, with comments and
 * options; going through proto-loader would lose them.
 */
export function addReflection(server: Server): void {
  const ownFiles = { files: { fileDescriptorProtos: splitFileDescriptorSet(readFileSync(DESCRIPTORS)) } };
  const packages = { ...loadSync(healthProto), ...(ownFiles as unknown as PackageDefinition) };
  new ReflectionService(packages).addToServer(server);
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
