import {
  type CheckPasswordResponse,
  type GetPasswordPolicyResponse_PasswordPolicy,
  CheckPasswordResponse_Rule as Rule,
} from '../gen/identity/v1/auth_service.ts';
import type { PasswordPolicy } from './get-password-policy.ts';
import type { PasswordRule, Refusal } from './passwords/password-policy.ts';

export function toPolicyMessage(policy: PasswordPolicy): GetPasswordPolicyResponse_PasswordPolicy {
  const { minLength, maxBytes, history, commonPasswords, breachCheck } = policy;
  return { minLength, maxBytes, history, commonPasswords, breachCheck };
}

export function toCheckMessage(refusals: readonly Refusal[]): CheckPasswordResponse {
  return {
    acceptable: refusals.length === 0,
    reasons: refusals.map(({ rule, description }) => ({ rule: toRuleMessage(rule), description })),
  };
}

function toRuleMessage(rule: PasswordRule): Rule {
  switch (rule) {
    case 'too_short':
      return Rule.RULE_TOO_SHORT;
    case 'too_long':
      return Rule.RULE_TOO_LONG;
    case 'common':
      return Rule.RULE_COMMON;
    case 'personal':
      return Rule.RULE_PERSONAL;
    case 'reused':
      return Rule.RULE_REUSED;
    case 'breached':
      return Rule.RULE_BREACHED;
  }
}
