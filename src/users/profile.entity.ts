import { defineEntity, p } from '@mikro-orm/postgresql';
import { PROFILE_SEARCH_TEXT } from './search-text.repository.ts';
import { User } from './user.entity.ts';

const ProfileSchema = defineEntity({
  name: 'Profile',
  tableName: 'profiles',
  properties: {
    user: () =>
      p
        .oneToOne(User)
        .primary()
        .inversedBy('profile')
        .deleteRule('cascade')
        .updateRule('no action')
        .foreignKeyName('profiles_user_id_fkey'),
    firstName: p.string().length(100).default(''),
    lastName: p.string().length(100).nullable(),
    fullName: p.string().length(200).default(''),
    bio: p.string().length(2000).nullable(),
    /** `YYYY-MM-DD`: a calendar date has no time zone. */
    birthDate: p.date().nullable(),
    avatarUrl: p.string().length(2048).nullable(),
    phone: p.string().length(16).nullable(),
  },
  checks: [{ name: 'profiles_birth_date_check', expression: "birth_date <= (now() at time zone 'UTC')::date" }],
  indexes: [{ name: 'profiles_full_name_user_id_idx', properties: ['fullName', 'user'] }],
  triggers: [PROFILE_SEARCH_TEXT],
});

/** The names and personal details of a user. Every user has a profile. */
export class Profile extends ProfileSchema.class {}
ProfileSchema.setClass(Profile);
