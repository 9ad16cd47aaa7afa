import { readFileSync } from 'node:fs';

/** The google.protobuf.FileDescriptorSet that buf has built of our protos and all that they import. */
export const DESCRIPTORS: Buffer = readFileSync(new URL('../gen/descriptors.binpb', import.meta.url));
