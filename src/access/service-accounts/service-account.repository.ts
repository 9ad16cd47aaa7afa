import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { ServiceAccount } from './service-account.entity.ts';

const WITH_ROLES = { populate: ['roles.role'] } as const;

export function findServiceAccount(em: EntityManager, id: string): Promise<ServiceAccount | null> {
  return em.findOne(ServiceAccount, { id }, WITH_ROLES);
}

export function findServiceAccountByName(em: EntityManager, name: string): Promise<ServiceAccount | null> {
  return em.findOne(ServiceAccount, { name }, WITH_ROLES);
}

/** By name, from after the given one. */
export function findServiceAccounts(em: EntityManager, after: string | undefined, limit: number): Promise<ServiceAccount[]> {
  const where = after === undefined ? {} : { name: { $gt: after } };
  return em.find(ServiceAccount, where, { ...WITH_ROLES, strategy: 'select-in', orderBy: { name: 'asc' }, limit });
}

/** Nobody else changes the account, its roles or its keys until the transaction ends. */
export function lockServiceAccount(em: EntityManager, id: string): Promise<ServiceAccount | null> {
  return em.findOne(ServiceAccount, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}
