import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { ServiceAccount } from './service-account.entity.ts';

const WITH_ROLES = { populate: ['roles.role'] } as const;

export function findServiceAccount(em: EntityManager, id: string): Promise<ServiceAccount | null> {
  return em.findOne(ServiceAccount, { id }, WITH_ROLES);
}

export function findServiceAccountByName(em: EntityManager, name: string): Promise<ServiceAccount | null> {
  return em.findOne(ServiceAccount, { name }, WITH_ROLES);
}

/** By name. */
export function findServiceAccounts(em: EntityManager): Promise<ServiceAccount[]> {
  return em.find(ServiceAccount, {}, { ...WITH_ROLES, orderBy: { name: 'asc' } });
}

/** Nobody else changes the account, its roles or its keys until the transaction ends. */
export function lockServiceAccount(em: EntityManager, id: string): Promise<ServiceAccount | null> {
  return em.findOne(ServiceAccount, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}
