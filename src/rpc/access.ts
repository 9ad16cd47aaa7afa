import type { Caller } from '../call/call.ts';
import { IdentityError } from '../call/errors.ts';
import { Access as Option } from '../gen/identity/v1/access.ts';
import { filesOf, messagesOf, numberOf, textOf } from './descriptors.ts';

const OPTION = { package: 'identity.v1', name: 'access' };

/** The fields that are read of the messages of google/protobuf/descriptor.proto. */
const FILE = { package: 2, service: 6, extension: 7 };
const EXTENSION = { name: 1, number: 3 };
const SERVICE = { name: 1, method: 2 };
const METHOD = { name: 1, options: 4 };

/** Who may call an RPC: the method option of access.proto. */
export interface Access {
  readonly permission: string;
  /** Path in the request, as the generated code names its fields: `['user', 'id']`. */
  readonly selfPath: readonly string[];
  readonly own: boolean;
}

export const callerUnauthenticated = () =>
  new IdentityError({
    code: 'UNAUTHENTICATED',
    reason: 'CALLER_UNAUTHENTICATED',
    message: 'the call needs valid credentials: an API key or access token in "authorization: Bearer …", or a client certificate',
  });

export const permissionDenied = (permission: string) =>
  new IdentityError({
    code: 'PERMISSION_DENIED',
    reason: 'PERMISSION_DENIED',
    message: `the caller lacks the permission ${permission}`,
    metadata: { permission },
  });

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

/** What end users may do to themselves without a permission, named by the permission that it takes to do it to others. */
export function permissionsOverSelf(accesses: ReadonlyMap<string, Access>): string[] {
  const onSelf = [...accesses.values()].filter(({ selfPath, own }) => own || selfPath.length > 0);
  return [...new Set(onSelf.map(({ permission }) => permission))];
}

function accessOf(method: Uint8Array, option: number, name: string): Access {
  const encoded = messagesOf(method, METHOD.options)
    .flatMap((options) => messagesOf(options, option))
    .at(-1);
  if (!encoded) throw new Error(`${name} does not say who may call it (option ${OPTION.package}.${OPTION.name})`);
  const { permission, selfField, own } = Option.decode(encoded);
  return { permission, selfPath: selfField === '' ? [] : selfField.split('.').map(camelCase), own };
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Throws unless the caller may make this call (AIP-211: before the request is validated, so that a refusal tells nothing about what it
 * names). `request` is asked for only where it matters whom the request is about.
 */
export function authorize({ permission, selfPath, own }: Access, caller: Caller, request: () => unknown): void {
  if (caller.kind === 'anonymous') throw callerUnauthenticated();
  if (permission === '' || caller.permissions.has(permission)) return;
  if (caller.kind === 'user' && caller.actsForSelf) {
    if (own) return;
    if (selfPath.length > 0 && sameId(valueAt(request(), selfPath), caller.userId)) return;
  }
  throw permissionDenied(permission);
}

function valueAt(message: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], message);
}

function sameId(given: unknown, id: string): boolean {
  return typeof given === 'string' && given.toLowerCase() === id;
}

/**
 * For an RPC that end users may call for what is theirs (`own`): whether the caller may touch something of this user. What it may not, it
 * is told does not exist.
 */
export function mayTouch(caller: Caller, permission: string, ownerId: string | undefined): boolean {
  return caller.permissions.has(permission) || (caller.kind === 'user' && caller.actsForSelf && caller.userId === ownerId);
}
