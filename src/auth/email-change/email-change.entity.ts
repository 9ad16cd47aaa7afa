import { defineEntity, p } from '@mikro-orm/postgresql';
import { id, moment } from '../../database/columns.ts';
import { User } from '../../users/user.entity.ts';

const EmailChangeSchema = defineEntity({
  name: 'EmailChange',
  tableName: 'email_changes',
  properties: {
    /** The secrets of both links are derived from it (see one-time-tokens/one-time-secrets.ts). */
    id: id(),
    user: () => p.manyToOne(User).deleteRule('cascade').updateRule('no action').foreignKeyName('email_changes_user_id_fkey'),
    newEmail: p.string().length(255),
    /** The email that the change has replaced. */
    oldEmail: p.string().length(255).nullable(),
    /** Of the secret in the mail to the new address. */
    confirmHash: p.blob().$type<Buffer>().unique('email_changes_confirm_hash_key'),
    /** Of the secret in the mail to the old address. */
    revertHash: p.blob().$type<Buffer>().unique('email_changes_revert_hash_key'),
    requestedAt: moment(),
    confirmedAt: moment().nullable(),
    /** The end of the link to the new address; after the change, of the one to the old address. */
    expiresAt: moment(),
  },
  checks: [
    { name: 'email_changes_new_email_check', expression: 'new_email = lower(new_email)' },
    { name: 'email_changes_confirmed_check', expression: '(confirmed_at is null) = (old_email is null)' },
  ],
  indexes: [
    { name: 'email_changes_user_id_idx', properties: ['user'] },
    { name: 'email_changes_expires_at_idx', properties: ['expiresAt'] },
  ],
});

/**
 * A change of a user's email: pending until the new address is proven, then one that the old address can undo. Written only under the lock on
 * the user. Undone, it is gone.
 */
export class EmailChange extends EmailChangeSchema.class {}
EmailChangeSchema.setClass(EmailChange);
