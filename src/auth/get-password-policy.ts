import { z } from 'zod';

export const getPasswordPolicyInput = z.custom<object>();

/** The rules in force, as callers are told them. */
export interface PasswordPolicy {
  /** In characters. */
  readonly minLength: number;
  readonly maxBytes: number;
  readonly history: number;
  /** The number of common passwords that are refused. */
  readonly commonPasswords: number;
  readonly breachCheck: boolean;
}

export interface GetPasswordPolicyDeps {
  readonly passwords: { readonly policy: PasswordPolicy };
}

export function getPasswordPolicy({ passwords }: GetPasswordPolicyDeps): PasswordPolicy {
  return passwords.policy;
}
