import { describe, expect, it } from 'vitest';
import { newEmail, newUsername, register } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';

const service = useService();

describe('LookupUser', () => {
  it('finds a user by email, in any case and with blanks around it', async () => {
    const user = await register(service);
    for (const email of [user.email, user.email.toUpperCase(), ` ${user.email}\n`]) {
      expect((await service.users.lookupUser({ email })).user).toEqual(user);
    }
  });

  it('finds a user by username, in any case and with blanks around it', async () => {
    const username = newUsername();
    const user = await register(service, { username });
    for (const sought of [username, username.toUpperCase(), ` ${username} `]) {
      expect((await service.users.lookupUser({ username: sought })).user).toEqual(user);
    }
  });

  it.each(['?', '??', '$1', '%', '_', '|', "'", '#', '💥'])('takes %j in an email literally', async (special) => {
    const user = await register(service, { email: `${special}${newEmail()}` });
    expect((await service.users.lookupUser({ email: user.email })).user).toEqual(user);
  });

  it('finds deactivated users, too', async () => {
    const { id, email } = await register(service);
    await service.users.deactivateUser({ userId: id });
    expect((await service.users.lookupUser({ email })).user).toMatchObject({ id, active: false });
  });

  it('does not take a part for the whole', async () => {
    const { email } = await register(service);
    for (const sought of [email.slice(1), email.replace('@', '%@'), email.replace(/^./, '_')]) {
      await expectStatus(service.users.lookupUser({ email: sought }), 'NOT_FOUND', 'USER_NOT_FOUND');
    }
  });

  it('tells that nobody has an email or username', async () => {
    const { message } = await expectStatus(service.users.lookupUser({ email: newEmail() }), 'NOT_FOUND', 'USER_NOT_FOUND');
    expect(message).toBe('no such user');
    await expectStatus(service.users.lookupUser({ username: newUsername() }), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it('finds nobody under a username that most do not have', async () => {
    await register(service);
    await expectInvalid(service.users.lookupUser({ username: '' }), ['username']);
  });

  it('refuses what is neither an email nor a username', async () => {
    await expectInvalid(service.users.lookupUser({ email: 'a\u0000@example.com' }), ['email']);
    await expectInvalid(service.users.lookupUser({ email: `${'a'.repeat(300)}@example.com` }), ['email']);
    await expectInvalid(service.users.lookupUser({ username: 'a@example.com' }), ['username']);
    await expectInvalid(service.users.lookupUser({}), ['key']);
  });
});
