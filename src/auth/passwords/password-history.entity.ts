import { defineEntity, p } from '@mikro-orm/postgresql';
import { id, moment } from '../../database/columns.ts';
import { User } from '../../users/user.entity.ts';

const PasswordHistorySchema = defineEntity({
  name: 'PasswordHistory',
  tableName: 'password_history',
  properties: {
    id: id(),
    user: () => p.manyToOne(User).deleteRule('cascade').updateRule('no action').foreignKeyName('password_history_user_id_fkey'),
    passwordHash: p.string().length(512),
    createdAt: moment(),
  },
  indexes: [{ name: 'password_history_user_id_created_at_idx', properties: ['user', 'createdAt'] }],
});

/** A password that the user has or had, so that it is not chosen again. The latest few are kept. */
export class PasswordHistory extends PasswordHistorySchema.class {}
PasswordHistorySchema.setClass(PasswordHistory);
