import { createFileRegistry, type DescExtension, type DescMethod, fromBinary, getOption, hasOption } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { IdentityError } from '../errors.ts';
import type { Caller } from './call.ts';

const OPTION = 'identity.v1.access';

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
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors));
  const option = registry.getExtension(OPTION);
  if (!option) throw new Error(`the descriptors lack the option ${OPTION}`);
  const accesses = new Map<string, Access>();
  for (const type of registry) {
    if (type.kind !== 'service') continue;
    for (const method of type.methods) accesses.set(`/${type.typeName}/${method.name}`, accessOf(method, option));
  }
  return accesses;
}

/** What end users may do to themselves without a permission, named by the permission that it takes to do it to others. */
export function permissionsOverSelf(accesses: ReadonlyMap<string, Access>): string[] {
  const onSelf = [...accesses.values()].filter(({ selfPath, own }) => own || selfPath.length > 0);
  return [...new Set(onSelf.map(({ permission }) => permission))];
}

function accessOf(method: DescMethod, option: DescExtension): Access {
  if (!hasOption(method, option))
    throw new Error(`${method.parent.typeName}.${method.name} does not say who may call it (option ${OPTION})`);
  const { permission, selfField, own } = getOption(method, option) as unknown as { permission: string; selfField: string; own: boolean };
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
