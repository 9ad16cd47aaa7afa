import {
  createFileRegistry,
  type DescEnum,
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  fromBinary,
} from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { ServerReflectionRequest, ServerReflectionResponse } from '../gen/grpc/reflection/v1/reflection.ts';
import { DESCRIPTORS, filesOf, textOf } from './descriptors.ts';

type Answer = Omit<ServerReflectionResponse, 'validHost' | 'originalRequest'>;

/** The fields that are read of the messages of google/protobuf/descriptor.proto. */
const FILE = { name: 1 };

/**
 * Answers encoded questions, with the very descriptors that buf built: comments and options are in them, and with a file comes all that it
 * imports, also what only its options use (access.proto).
 */
export function answerReflection(): (question: Buffer) => Buffer {
  const files = new ReflectedFiles();
  return (encoded) => {
    const originalRequest = ServerReflectionRequest.decode(encoded);
    const answer = files.answer(originalRequest);
    return Buffer.from(ServerReflectionResponse.encode({ validHost: originalRequest.host, originalRequest, ...answer }).finish());
  };
}

class ReflectedFiles {
  readonly #registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, DESCRIPTORS));
  /** As buf has encoded them, by their names. */
  readonly #encodings = new Map(filesOf(DESCRIPTORS).map((encoding) => [textOf(encoding, FILE.name), Buffer.from(encoding)]));
  readonly #symbols = new Map<string, DescFile>();

  constructor() {
    for (const file of this.#registry.files) {
      for (const type of nestedTypes(file)) for (const symbol of symbolsOf(type)) this.#symbols.set(symbol, file);
    }
  }

  answer(question: ServerReflectionRequest): Answer {
    const { fileByFilename, fileContainingSymbol, fileContainingExtension, allExtensionNumbersOfType, listServices } = question;
    if (listServices !== undefined) return this.#services();
    if (fileContainingSymbol !== undefined) return this.#withImports(this.#symbols.get(fileContainingSymbol), fileContainingSymbol);
    if (fileByFilename !== undefined) {
      const file = [...this.#registry.files].find(({ proto }) => proto.name === fileByFilename);
      return this.#withImports(file, fileByFilename);
    }
    if (fileContainingExtension !== undefined) {
      const { containingType, extensionNumber } = fileContainingExtension;
      const extension = this.#extensionsOf(containingType).find(({ number }) => number === extensionNumber);
      return this.#withImports(extension?.file, `extension ${extensionNumber} of ${containingType}`);
    }
    if (allExtensionNumbersOfType !== undefined) return this.#extensionNumbers(allExtensionNumbersOfType);
    return failure(status.INVALID_ARGUMENT, 'the request asks nothing');
  }

  #services(): Answer {
    const services = [...this.#registry].filter(({ kind }) => kind === 'service');
    return { listServicesResponse: { service: services.map(({ typeName: name }) => ({ name })) } };
  }

  #withImports(file: DescFile | undefined, name: string): Answer {
    if (!file) return notFound(name);
    const files = new Set([file]);
    // A set goes on with what is added to it meanwhile.
    for (const { dependencies } of files) for (const dependency of dependencies) files.add(dependency);
    return { fileDescriptorResponse: { fileDescriptorProto: [...files].flatMap(({ proto }) => this.#encodings.get(proto.name) ?? []) } };
  }

  #extensionsOf(type: string): DescExtension[] {
    return [...this.#registry].filter((each) => each.kind === 'extension').filter(({ extendee }) => extendee.typeName === type);
  }

  #extensionNumbers(type: string): Answer {
    if (!this.#registry.getMessage(type)) return notFound(type);
    const extensionNumber = this.#extensionsOf(type).map(({ number }) => number);
    return { allExtensionNumbersResponse: { baseTypeName: type, extensionNumber } };
  }
}

/** The full names of a type and of what belongs to it. The values of an enum are its siblings. */
function symbolsOf(type: DescMessage | DescEnum | DescExtension | DescService): string[] {
  const { typeName } = type;
  const within = (scope: string, named: readonly { readonly name: string }[]) => named.map(({ name }) => `${scope}${name}`);
  switch (type.kind) {
    case 'message':
      return [typeName, ...within(`${typeName}.`, [...type.fields, ...type.oneofs])];
    case 'service':
      return [typeName, ...within(`${typeName}.`, type.methods)];
    case 'enum':
      return [typeName, ...within(typeName.slice(0, typeName.lastIndexOf('.') + 1), type.values)];
    case 'extension':
      return [typeName];
  }
}

function notFound(name: string): Answer {
  return failure(status.NOT_FOUND, `there is no ${name}`);
}

function failure(errorCode: status, errorMessage: string): Answer {
  return { errorResponse: { errorCode, errorMessage } };
}
