import { readFileSync } from 'node:fs';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * The google.protobuf.FileDescriptorSet that buf has built of our protos and all that they import.
 *
 * Little of it is needed, and read with the functions below: a library that knows descriptors takes 2 MB and a tenth of the start.
 */
export const DESCRIPTORS: Buffer = readFileSync(new URL('../gen/descriptors.binpb', import.meta.url));

/** The encoded files of a FileDescriptorSet, which has a single field. */
export const filesOf = (set: Uint8Array): Uint8Array[] => messagesOf(set, 1);

/** The encoded messages in a field of an encoded message, in their order. */
export function messagesOf(message: Uint8Array, field: number): Uint8Array[] {
  return valuesOf(message, field, WireType.LengthDelimited, (reader) => reader.bytes());
}

/** A field of text; empty where it is absent. */
export function textOf(message: Uint8Array, field: number): string {
  return valuesOf(message, field, WireType.LengthDelimited, (reader) => reader.string()).at(-1) ?? '';
}

/** A field that is an int32; 0 where it is absent. */
export function numberOf(message: Uint8Array, field: number): number {
  return valuesOf(message, field, WireType.Varint, (reader) => reader.int32()).at(-1) ?? 0;
}

function valuesOf<Value>(message: Uint8Array, field: number, wireType: WireType, read: (reader: BinaryReader) => Value): Value[] {
  const reader = new BinaryReader(message);
  const values: Value[] = [];
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === field && type === wireType) values.push(read(reader));
    else reader.skip(type, number);
  }
  return values;
}
