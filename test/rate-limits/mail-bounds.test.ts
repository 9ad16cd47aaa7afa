import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { atOnce, newEmail, newUsername, PASSWORD, register, registerVerified, required } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf, programWith } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { countMails, dump, SUBJECTS, subjectsTo, untilMailsAreSent } from '../support/mails.ts';
import { startService, type TestService, useService } from '../support/service.ts';

const mailbox = useMailbox();
const here = useService(() => ({ SMTP_URL: mailbox.url(), LOCKOUT_MAX_ATTEMPTS: '1' }));
const there = {} as TestService;

beforeAll(async () => void Object.assign(there, await startService({ SMTP_URL: mailbox.url() }, here.database, {}, here.clock)));
afterAll(() => there.stop?.());

describe('the bounds of mails', () => {
  it('are those of all replicas together: one mail a minute to an address', async () => {
    const { email } = await register(here);
    await atOnce(20, (index) => (index % 2 ? here : there).auth.requestPasswordReset({ email }));
    expect(await countMails(here, mailbox, email, SUBJECTS.reset)).toBe(1);
  });

  it('are those of all replicas together: 20 addresses of a sender', async () => {
    const { key } = await programWith(here, ['identity.auth.recover']);
    await expect.poll(() => there.auth.getCaller({}, { token: key }).then(() => true)).toBe(true);
    const emails: string[] = [];
    for (let index = 0; index < 40; index++) emails.push(required((await here.users.createUser({ email: newEmail() })).user).email);
    await atOnce(40, (index) => (index % 2 ? here : there).auth.requestPasswordReset({ email: emails[index] ?? '' }, { token: key }));
    await untilMailsAreSent(here);
    expect(emails.filter((email) => mailbox.to(email).length > 0)).toHaveLength(20);
  });

  it('tell a user of 10 locks in a day', async () => {
    const { email } = await register(here);
    const lock = async () => {
      await expectStatus(here.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
      // A mail under way when the clock moves on would be sent again by the other replica.
      await untilMailsAreSent(here);
      here.clock.advance(1800);
    };
    for (let turn = 0; turn < 12; turn++) await lock();
    expect(await countMails(here, mailbox, email, SUBJECTS.locked)).toBe(10);
    here.clock.advance(24 * 3600);
    await lock();
    expect(await countMails(here, mailbox, email, SUBJECTS.locked)).toBe(11);
  });

  it('tell an address that nobody has proven of 10 changes in a day, of whatever kind', async () => {
    const { id, email } = await register(here);
    const change = async (turn: number) => {
      await here.users.updateUser({ user: { id, username: newUsername() }, updateMask: ['username'] });
      await here.auth.login({ email, password: PASSWORD, client: { deviceName: `Device ${turn}`, userAgent: 'Browser' } });
      await keyOf(here, { userId: id });
    };
    for (let turn = 0; turn < 6; turn++) await change(turn);
    // Beside the one that asks for the proof.
    expect(await subjectsTo(here, mailbox, email)).toHaveLength(1 + 10);
  });

  it('tell a user with a proven address of every change', async () => {
    const { id, email } = await registerVerified(here);
    for (let turn = 0; turn < 12; turn++) await here.users.updateUser({ user: { id, username: newUsername() }, updateMask: ['username'] });
    expect(await countMails(here, mailbox, email, /^Your username .* was changed$/)).toBe(12);
  });

  it('count under keyed hashes: no address that nobody has is stored', async () => {
    const { key } = await programWith(here, ['identity.auth.recover']);
    const email = newEmail();
    await here.auth.requestPasswordReset({ email }, { token: key });
    expect(await dump(here)).not.toContain(email);
  });
});
