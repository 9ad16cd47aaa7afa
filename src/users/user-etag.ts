import { strongEtag } from '../call/etag.ts';
import type { UserView } from './user-view.ts';

/**
 * A strong validator (AIP-154) over what the API shows of a user: it changes exactly when that does, so a login in between, which only
 * touches the bookkeeping, makes no etag stale.
 */
export function etagOf(user: UserView): string {
  return strongEtag([
    [user.id, user.email, user.emailVerified, user.username, user.active, user.hasPassword, user.roles],
    [user.firstName, user.lastName, user.fullName, user.bio, user.birthDate, user.avatarUrl, user.phone],
  ]);
}
