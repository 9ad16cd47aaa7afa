import { describe, expect, it } from 'vitest';
import { newUsername, register } from '../support/builders.ts';
import { bookkeeping, rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

const LONG_AGO = new Date('2020-01-01T00:00:00Z');

/** As if nobody had changed the account since then. Triggers are off, one of which would say that this is a change. */
const forget = (userId: string) =>
  rows(
    service,
    `do $$ begin
       perform set_config('session_replication_role', 'replica', true);
       update users set updated_at = '${LONG_AGO.toISOString()}' where id = '${userId}';
     end $$`,
  );

async function oldAccount() {
  const user = await register(service);
  await forget(user.id);
  return user;
}

const updatedAt = async (userId: string) => (await bookkeeping(service, userId)).updated_at;

const update = (id: string, profile: object, path: string) =>
  service.users.updateUser({ user: { id, profile }, updateMask: [`profile.${path}`] });

/** Any change of the user, the profile or the roles. */
const CHANGES: readonly (readonly [what: string, change: (id: string) => Promise<unknown>])[] = [
  ['bio', (id) => update(id, { bio: 'Countess' }, 'bio')],
  ['phone', (id) => update(id, { phone: '+41446681800' }, 'phone')],
  ['birth date', (id) => update(id, { birthDate: { year: 1915, month: 12, day: 10 } }, 'birth_date')],
  ['avatar', (id) => update(id, { avatarUrl: 'https://example.com/ada.png' }, 'avatar_url')],
  ['full name', (id) => update(id, { fullName: 'Augusta Ada' }, 'full_name')],
  ['username', (id) => service.users.updateUser({ user: { id, username: newUsername() }, updateMask: ['username'] })],
  ['a role more', (id) => service.roles.assignRole({ userId: id, role: 'reader' })],
  ['the profile by SQL', (id) => rows(service, `update profiles set bio = 'by hand' where user_id = $1`, [id])],
];

describe('users.updated_at', () => {
  it.each(CHANGES)('moves with a change: %s', async (_what, change) => {
    const { id } = await oldAccount();
    await change(id);
    expect(await updatedAt(id)).not.toEqual(LONG_AGO);
  });

  it('moves with a role less', async () => {
    const { id } = await register(service);
    await service.roles.assignRole({ userId: id, role: 'reader' });
    await forget(id);
    await service.roles.unassignRole({ userId: id, role: 'reader' });
    expect(await updatedAt(id)).not.toEqual(LONG_AGO);
  });

  it('stays where a look changes nothing', async () => {
    const { id, email } = await oldAccount();
    await service.users.getUser({ userId: id });
    await service.users.lookupUser({ email });
    await service.users.exportUser({ userId: id });
    expect(await updatedAt(id)).toEqual(LONG_AGO);
  });
});
