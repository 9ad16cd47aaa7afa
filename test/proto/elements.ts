import { fromBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { DESCRIPTORS } from '../../src/rpc/descriptors.ts';

export type Kind = 'service' | 'rpc' | 'message' | 'field' | 'oneof' | 'enum' | 'value';

/** Something that the protos declare, with the comment over it. */
export interface Element {
  readonly kind: Kind;
  readonly name: string;
  /** With package and all around it, e.g. `identity.v1.User.id`. */
  readonly fullName: string;
  /** In one line. */
  readonly comment: string;
  /** Of a field: google.api.field_behavior. */
  readonly behaviors: readonly string[];
  /** Of a field: it is one of several, of which one is set. */
  readonly inOneof: boolean;
  /** Of a field: the message or enum that it holds. Of an RPC: its request. */
  readonly type: string;
}

/** google.api.FieldBehavior, by number. */
const BEHAVIORS = ['', 'OPTIONAL', 'REQUIRED', 'OUTPUT_ONLY', 'INPUT_ONLY', 'IMMUTABLE'];
const FIELD_BEHAVIOR = 1052;

/** The numbers of the fields of google/protobuf/descriptor.proto, of which the path to a comment is made. */
const FILE = { message: 4, enum: 5, service: 6 };
const MESSAGE = { field: 2, message: 3, enum: 4, oneof: 8 };
const METHODS = 2;
const VALUES = 2;

/** The files of the API, and those that they import. */
export const FILES: readonly FileDescriptorProto[] = fromBinary(FileDescriptorSetSchema, DESCRIPTORS).file;

/** Those of this service. */
export const OWN_FILES = FILES.filter(({ package: name }) => name === 'identity.v1');

export const ELEMENTS: readonly Element[] = OWN_FILES.flatMap(elementsOf);

function elementsOf(file: FileDescriptorProto): Element[] {
  const comments = new Map(
    (file.sourceCodeInfo?.location ?? []).map(({ path, leadingComments }) => [path.join('.'), oneLine(leadingComments)]),
  );
  const element = (kind: Kind, scope: string, name: string, path: readonly number[], more: Partial<Element> = {}): Element => ({
    kind,
    name,
    fullName: `${scope}.${name}`,
    comment: comments.get(path.join('.')) ?? '',
    behaviors: [],
    inOneof: false,
    type: '',
    ...more,
  });

  function enumOf(it: EnumDescriptorProto, scope: string, path: readonly number[]): Element[] {
    const values = it.value.map(({ name }, index) => element('value', `${scope}.${it.name}`, name, [...path, VALUES, index]));
    return [element('enum', scope, it.name, path), ...values];
  }

  function messageOf(it: DescriptorProto, scope: string, path: readonly number[]): Element[] {
    // Made by the compiler, for a map.
    if (it.options?.mapEntry) return [];
    const inner = `${scope}.${it.name}`;
    const oneofs = new Set(it.field.filter(isInOneof).map(({ oneofIndex }) => oneofIndex));
    return [
      element('message', scope, it.name, path),
      ...it.field.map((field, index) =>
        element('field', inner, field.name, [...path, MESSAGE.field, index], {
          behaviors: behaviorsOf(field),
          inOneof: isInOneof(field),
          type: field.typeName.slice(1),
        }),
      ),
      ...it.oneofDecl.flatMap(({ name }, index) =>
        oneofs.has(index) ? [element('oneof', inner, name, [...path, MESSAGE.oneof, index])] : [],
      ),
      ...it.nestedType.flatMap((nested, index) => messageOf(nested, inner, [...path, MESSAGE.message, index])),
      ...it.enumType.flatMap((nested, index) => enumOf(nested, inner, [...path, MESSAGE.enum, index])),
    ];
  }

  return [
    ...file.messageType.flatMap((it, index) => messageOf(it, file.package, [FILE.message, index])),
    ...file.enumType.flatMap((it, index) => enumOf(it, file.package, [FILE.enum, index])),
    ...file.service.flatMap((it, index) => [
      element('service', file.package, it.name, [FILE.service, index]),
      ...it.method.map((method, place) =>
        element('rpc', `${file.package}.${it.name}`, method.name, [FILE.service, index, METHODS, place], {
          type: method.inputType.slice(1),
        }),
      ),
    ]),
  ];
}

/** A field that is `optional` is alone in a oneof that the compiler makes. */
function isInOneof(field: FieldDescriptorProto): boolean {
  return Object.hasOwn(field, 'oneofIndex') && !field.proto3Optional;
}

/** Without what is told to buf. */
function oneLine(comment: string): string {
  return comment
    .replaceAll(/^\s*buf:.*$/gm, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** The options of a field are not packed, and of numbers that fit into a byte. */
function behaviorsOf({ options }: FieldDescriptorProto): string[] {
  return (options?.$unknown ?? []).filter(({ no }) => no === FIELD_BEHAVIOR).map(({ data }) => BEHAVIORS[data[0] ?? 0] ?? '');
}
