import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from '../../database/columns.ts';
import { User } from '../../users/user.entity.ts';
import { attemptCounters } from './attempt-counters.entity.ts';

const AttemptedIdentifierSchema = defineEntity({
  name: 'AttemptedIdentifier',
  tableName: 'attempted_identifiers',
  properties: {
    /** HMAC-SHA256 of the email or username that was tried: the table is no list of addresses. See login-attempt.repository.ts. */
    identifierHash: p.blob().$type<Buffer>().primary(),
    /** The account that it names, if there is one. */
    user: () =>
      p.manyToOne(User).nullable().deleteRule('cascade').updateRule('no action').foreignKeyName('attempted_identifiers_user_id_fkey'),
    ...attemptCounters(),
    attemptedAt: moment(),
  },
  indexes: [
    { name: 'attempted_identifiers_user_id_idx', properties: ['user'] },
    { name: 'attempted_identifiers_attempted_at_idx', properties: ['attemptedAt'] },
  ],
});

/**
 * The attempts under an email or a username, whether anybody has it or not. The answer to an attempt follows from these alone: so a lock
 * tells neither that there is an account nor which identifiers belong together.
 */
export class AttemptedIdentifier extends AttemptedIdentifierSchema.class {}
AttemptedIdentifierSchema.setClass(AttemptedIdentifier);
