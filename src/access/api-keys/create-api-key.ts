import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import { isSelf } from '../../call/authorize.ts';
import type { Call } from '../../call/call.ts';
import { Permissions } from '../../call/permissions.ts';
import { line } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import { User } from '../../users/user.entity.ts';
import { userNotFound } from '../../users/user.errors.ts';
import { lockUser } from '../../users/user.repository.ts';
import { permissionsNow } from '../permissions-now.ts';
import { mayGrant } from '../roles/grants.ts';
import { permissionNames } from '../roles/permission-name.ts';
import { grantExceedsCaller } from '../roles/role.errors.ts';
import { permissionsGranted } from '../roles/role.repository.ts';
import { hasOneSubject, oneSubject, type Subject, subjectFields, subjectOf } from '../roles/subject.ts';
import { ServiceAccount } from '../service-accounts/service-account.entity.ts';
import { serviceAccountNotFound } from '../service-accounts/service-account.errors.ts';
import { lockServiceAccount } from '../service-accounts/service-account.repository.ts';
import { ApiKey } from './api-key.entity.ts';
import { tooManyApiKeys } from './api-key.errors.ts';
import { countWorkingKeys, deleteEndedKeysBeyond, lockWorkingKey } from './api-key.repository.ts';
import { createApiKeySecret, hashApiKey, hintOf } from './api-key-format.ts';

const MAX_TTL_SECONDS = 100 * 365 * 86_400;

export const createApiKeyInput = z
  .object({
    ...subjectFields,
    name: line(100).refine((name) => name !== '', 'is required'),
    scopes: permissionNames,
    ttl: z
      .object({ seconds: z.number(), nanos: z.number() })
      .refine(({ seconds }) => seconds >= 1 && seconds <= MAX_TTL_SECONDS, 'must be at least a second and at most 100 years')
      .optional(),
  })
  .refine(hasOneSubject, oneSubject('owner'));

export interface CreateApiKeyDeps {
  /** Of one owner, that work at the same time. */
  readonly maxApiKeys: number;
  /** The things that users may do to themselves, each named by the permission that it takes to do it to others. */
  readonly permissionsOverSelf: readonly string[];
}

export interface CreatedApiKey {
  readonly apiKey: ApiKey;
  /** Shown this once. */
  readonly key: string;
}

/** A key can do what its owner can, within its scopes; whoever makes it must be able to do all of that. */
export async function createApiKey(
  call: Call,
  { permissionsOverSelf, maxApiKeys }: CreateApiKeyDeps,
  input: z.output<typeof createApiKeyInput>,
): Promise<CreatedApiKey> {
  const { name, scopes, ttl } = input;
  const key = createApiKeySecret();
  const now = call.now();
  return transaction(call.em, async (em) => {
    const owner = await ownerOf(em, input);
    const held = await permissionsNow(em, call);
    const reach = reachOf(input, owner.permissions, permissionsOverSelf);
    if (!isSelf(call.caller, input.userId) && !mayGrant(held, reach)) throw grantExceedsCaller();
    if (!mayGrant(owner.permissions, scopes)) throw grantExceedsCaller();
    const parent = await parentOf(em, call, input);
    if (parent && !coversScopes(parent.scopes, scopes)) throw grantExceedsCaller();
    await makeRoom(em, input, maxApiKeys, now);
    const apiKey = em.create(ApiKey, {
      ...owner.reference,
      parentId: parent?.id ?? null,
      name,
      hash: hashApiKey(key),
      hint: hintOf(key),
      scopes,
      createdAt: now,
      expiresAt: earlier(ttl && new Date(now.getTime() + ttl.seconds * 1000), parent?.expiresAt),
    });
    const { metadata, ...subject } = subjectOf(input);
    const derivation: Record<string, string> = parent ? { parent_api_key_id: parent.id } : {};
    record(em, call, { type: 'api_key.created', ...subject, metadata: { api_key_id: apiKey.id, ...derivation, ...metadata } });
    return { apiKey, key };
  });
}

/**
 * The key that the new one is derived from: the one that makes a key for its own owner. The new key ends with it and has no more than it, or
 * else a key of a minute could make one for ever.
 */
async function parentOf(em: EntityManager, { caller, now }: Call, { serviceAccountId, userId }: Subject): Promise<ApiKey | null> {
  if (caller.kind === 'anonymous' || caller.keyId === undefined) return null;
  const isOwner = caller.kind === 'user' ? caller.userId === userId : caller.id === serviceAccountId;
  return isOwner ? lockWorkingKey(em, caller.keyId, now()) : null;
}

/** A key without scopes is limited to none. */
function coversScopes(ofParent: readonly string[], scopes: readonly string[]): boolean {
  if (ofParent.length === 0 || ofParent.includes('*')) return true;
  return scopes.length > 0 && scopes.every((scope) => ofParent.includes(scope));
}

function earlier(a: Date | undefined, b: Date | null | undefined): Date | null {
  return a && b ? new Date(Math.min(a.getTime(), b.getTime())) : (a ?? b ?? null);
}

/** Keeps what an owner has within bounds: the keys that work, and the newest of those that do not any more. */
async function makeRoom(em: EntityManager, owner: Subject, max: number, now: Date): Promise<void> {
  if ((await countWorkingKeys(em, owner, now)) >= max) throw tooManyApiKeys(max);
  await deleteEndedKeysBeyond(em, owner, max, now);
}

/** All that the key can do. One of a user without scopes also does to that user what users may do to themselves. */
function reachOf({ scopes, userId }: z.output<typeof createApiKeyInput>, ofOwner: Permissions, overSelf: readonly string[]): string[] {
  const permissions = ofOwner.limitedTo(scopes).list();
  return scopes.length === 0 && userId !== undefined ? [...permissions, ...overSelf] : permissions;
}

/** The owner counts with all that their roles permit, even while deactivated: the key works as soon as they are back. */
async function ownerOf(em: EntityManager, { userId, serviceAccountId }: Subject) {
  if (userId !== undefined) {
    if (!(await lockUser(em, userId))) throw userNotFound();
    const permissions = new Permissions(await permissionsGranted(em, { userId }));
    return { permissions, reference: { user: em.getReference(User, userId) } };
  }
  const id = serviceAccountId ?? '';
  if (!(await lockServiceAccount(em, id))) throw serviceAccountNotFound();
  const permissions = new Permissions(await permissionsGranted(em, { serviceAccountId }));
  return { permissions, reference: { serviceAccount: em.getReference(ServiceAccount, id) } };
}
