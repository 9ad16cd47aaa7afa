import type { Access } from '../call/authorize.ts';
import type { FreshPath } from '../call/fresh-sign-in.ts';
import { Access as Option } from '../gen/identity/v1/access.ts';
import { filesOf, messagesOf, numberOf, textOf } from './descriptors.ts';

const OPTION = { package: 'identity.v1', name: 'access' };

/** The fields that are read of the messages of google/protobuf/descriptor.proto. */
const FILE = { package: 2, service: 6, extension: 7 };
const EXTENSION = { name: 1, number: 3 };
const SERVICE = { name: 1, method: 2 };
const METHOD = { name: 1, options: 4 };

/** Reads from the descriptors who may call what; throws where an RPC does not say, for the default is no. */
export function readAccess(descriptors: Uint8Array): ReadonlyMap<string, Access> {
  const files = filesOf(descriptors);
  const option = optionNumber(files);
  const accesses = new Map<string, Access>();
  for (const file of files) {
    for (const service of messagesOf(file, FILE.service)) {
      const serviceName = `${textOf(file, FILE.package)}.${textOf(service, SERVICE.name)}`;
      if (!serviceName.startsWith(`${OPTION.package}.`)) continue;
      for (const method of messagesOf(service, SERVICE.method)) {
        const name = textOf(method, METHOD.name);
        accesses.set(`/${serviceName}/${name}`, accessOf(method, option, `${serviceName}.${name}`));
      }
    }
  }
  return accesses;
}

function optionNumber(files: readonly Uint8Array[]): number {
  const extensions = files
    .filter((file) => textOf(file, FILE.package) === OPTION.package)
    .flatMap((file) => messagesOf(file, FILE.extension));
  const option = extensions.find((extension) => textOf(extension, EXTENSION.name) === OPTION.name);
  if (!option) throw new Error(`the descriptors lack the option ${OPTION.package}.${OPTION.name}`);
  return numberOf(option, EXTENSION.number);
}

function accessOf(method: Uint8Array, option: number, name: string): Access {
  const encoded = messagesOf(method, METHOD.options)
    .flatMap((options) => messagesOf(options, option))
    .at(-1);
  if (!encoded) throw new Error(`${name} does not say who may call it (option ${OPTION.package}.${OPTION.name})`);
  const { permission, selfField, own, fresh, freshPaths } = Option.decode(encoded);
  const selfPath = selfField === '' ? [] : fieldsOf(selfField);
  return { permission, selfPath, own, fresh, freshPaths: freshPaths.map(toFreshPath) };
}

function toFreshPath(path: string): FreshPath {
  return { inMask: path.slice(path.indexOf('.') + 1), inRequest: fieldsOf(path) };
}

function fieldsOf(path: string): string[] {
  return path.split('.').map(camelCase);
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
