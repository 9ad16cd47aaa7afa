import { afterEach, describe, expect, it } from 'vitest';
import { AUDIT_EVENT_TYPES, type AuditEventType, isPublished } from '../../src/audit/audit-event-types.ts';
import { DEVICE } from '../support/audit.ts';
import { logIn, newEmail, newUsername, PASSWORD, register, required } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { codeIn, tokenIn, useMailbox } from '../support/mailbox.ts';
import { rows, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { refresh } from '../support/sessions.ts';

const EVENT_TYPES = (Object.keys(AUDIT_EVENT_TYPES) as AuditEventType[]).filter(isPublished);

interface EventRow {
  readonly [column: string]: unknown;
  readonly type: string;
  readonly userId: string | null;
  readonly payload: Record<string, string>;
}

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const allEvents = () =>
  rows<EventRow & { position: number }>(service, 'select position::int, type, user_id as "userId", payload from events order by position');

/** The events that a call writes. */
async function eventsOf(call: () => Promise<unknown>): Promise<EventRow[]> {
  const before = (await allEvents()).at(-1)?.position ?? 0;
  await call();
  return (await allEvents()).filter(({ position }) => position > before).map(({ type, userId, payload }) => ({ type, userId, payload }));
}

/** Seconds: between two mails of a kind to one address; the default of REFRESH_GRACE. */
const [MAIL_PAUSE, REFRESH_GRACE] = [60, 10];

describe('a change that others follow', () => {
  const [email, otherEmail] = [newEmail(), newEmail()];
  const names = { firstName: 'Augusta', lastName: 'Lovelace', fullName: 'Augusta Ada Lovelace' };
  const username = newUsername();
  const otherPassword = 'another long enough passphrase';
  const thirdPassword = 'one more long enough passphrase';
  const seen: EventRow[] = [];
  let userId = '';
  let sessionId = '';

  /** What the call does is told by these events about the user, in this order. */
  async function expectEvents(
    call: () => Promise<unknown>,
    expected: [type: string, payload?: Record<string, string> | undefined][],
  ): Promise<void> {
    const events = await eventsOf(call);
    expect(events).toEqual(expected.map(([type, payload = {}]) => ({ type, userId, payload })));
    seen.push(...events);
  }

  it('is one of each type, by the call that makes it', async () => {
    const { auth, users, sessions, roles, apiKeys } = service;
    const registered = await eventsOf(async () => {
      userId = (await register(service, { email, username, profile: names, client: DEVICE })).id;
    });
    expect(registered.map(({ type }) => type)).toEqual(['user.created', 'user.email_verification_requested']);
    expect(registered.every((event) => event.userId === userId)).toBe(true);
    seen.push(...registered);

    const update = () => users.updateUser({ user: { id: userId, profile: { bio: 'Countess' } }, updateMask: ['profile.bio'] });
    await expectEvents(update, [['user.updated', { fields: 'profile.bio' }]]);

    const otherUsername = () => users.updateUser({ user: { id: userId, username: newUsername() }, updateMask: ['username'] });
    await expectEvents(otherUsername, [['user.username_changed'], ['user.updated', { fields: 'username' }]]);

    const verificationToken = tokenIn(await mailbox.mail(email, /^Confirm/));
    await expectEvents(() => auth.verifyEmail({ verificationToken, password: PASSWORD }), [['user.email_verified']]);
    await expectEvents(() => auth.requestEmailVerification({ email }), [['user.email_verification_requested']]);

    const begin = async (client: object) => {
      sessionId = required((await auth.login({ email, password: PASSWORD, client })).tokens).sessionId;
    };
    await expectEvents(() => begin(DEVICE), []);
    const secondLogin = await eventsOf(() => begin({ userAgent: 'Other/9.9', deviceName: "Ada's other phone" }));
    expect(secondLogin).toEqual([{ type: 'user.new_device', userId, payload: { session_id: sessionId } }]);
    seen.push(...secondLogin);
    const ended = sessionId;
    await expectEvents(() => sessions.revokeSession({ sessionId }), [['session.revoked', { session_id: ended, reason: 'revoked' }]]);

    await expectEvents(() => auth.requestLoginCode({ email }), [['user.login_code_requested']]);
    const code = codeIn(await mailbox.mail(email, /code/));
    await expectEvents(async () => {
      sessionId = required((await auth.loginWithCode({ email, code, client: DEVICE })).tokens).sessionId;
    }, []);

    // Of the two sessions, both end.
    const { sessions: live } = await sessions.listSessions({ userId });
    expect(live).toHaveLength(2);
    const changed = await eventsOf(() => auth.changePassword({ userId, currentPassword: PASSWORD, newPassword: otherPassword }));
    const revoked = live.map(({ id }) => ({ type: 'session.revoked', userId, payload: { session_id: id, reason: 'password_changed' } }));
    expect(changed.slice(0, -1)).toEqual(expect.arrayContaining(revoked));
    expect(changed.slice(2)).toEqual([{ type: 'user.password_changed', userId, payload: {} }]);
    seen.push(...changed);

    await expectEvents(() => auth.requestPasswordReset({ email }), [['user.password_reset_requested']]);
    const resetToken = tokenIn(await mailbox.mail(email, /^Reset/));
    await expectEvents(() => auth.resetPassword({ resetToken, newPassword: thirdPassword }), [['user.password_changed', { by: 'reset' }]]);

    const change = await eventsOf(() => auth.requestEmailChange({ userId, newEmail: otherEmail }));
    const changeId = { email_change_id: expect.any(String) };
    expect(change).toEqual([{ type: 'user.email_change_requested', userId, payload: changeId }]);
    const emailChangeToken = tokenIn(await mailbox.mail(otherEmail, /^Confirm your new/));
    await expectEvents(() => auth.confirmEmailChange({ emailChangeToken }), [['user.email_changed', change[0]?.payload]]);
    const revertToken = tokenIn(await mailbox.mail(email, /^The email of/));
    const reverted = await eventsOf(() => auth.revertEmailChange({ revertToken }));
    expect(reverted.map((event) => [event.type, event.userId])).toEqual([['user.email_change_reverted', userId]]);
    seen.push(...change, ...reverted);
    service.clock.advance(MAIL_PAUSE);
    await auth.requestPasswordReset({ email });
    await auth.resetPassword({ resetToken: tokenIn(await mailbox.mail(email, /^Reset/, 2)), newPassword: thirdPassword });

    const guess = () => expectStatus(auth.login({ email, password: 'wrong', client: DEVICE }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    for (let failed = 0; failed < 4; failed++) await expectEvents(guess, []);
    await expectEvents(guess, [['user.locked']]);
    await expectEvents(() => users.unlockUser({ userId }), [['user.unlocked', { reason: 'manual' }]]);

    const given = { role: 'reader', administrative: 'true' };
    await expectEvents(() => roles.assignRole({ role: 'reader', userId }), [['role.assigned', given]]);
    await expectEvents(() => roles.unassignRole({ role: 'reader', userId }), [['role.unassigned', { role: 'reader' }]]);

    await expectEvents(
      () => apiKeys.createApiKey({ userId, name: "Ada's key" }),
      [['api_key.created', { api_key_id: expect.any(String) }]],
    );
    const { refreshToken } = await logIn(service, email, thirdPassword);
    await refresh(service, (await refresh(service, refreshToken)).refreshToken);
    service.clock.advance(REFRESH_GRACE + 1);
    const reused = await eventsOf(() => expectStatus(auth.refreshToken({ refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN'));
    expect(reused.map(({ type }) => type)).toEqual(['session.refresh_reused', 'session.revoked']);
    seen.push(...reused);

    const last = await logIn(service, email, thirdPassword);
    await expectEvents(
      () => users.deactivateUser({ userId }),
      [['session.revoked', { session_id: last.sessionId, reason: 'user_deactivated' }], ['user.deactivated']],
    );
    await expectEvents(() => users.reactivateUser({ userId }), [['user.reactivated']]);

    const deleted = await eventsOf(() => users.deleteUser({ userId }));
    expect(deleted.map((event) => [event.type, event.userId])).toEqual([['user.deleted', userId]]);
    seen.push(...deleted);

    const allRevoked = await eventsOf(() => sessions.revokeEverySession({}));
    expect(allRevoked).toEqual([{ type: 'session.all_revoked', userId: null, payload: {} }]);
    seen.push(...allRevoked);

    expect([...new Set(seen.map(({ type }) => type))].sort()).toEqual([...EVENT_TYPES].sort());
  });

  it('is told without an email, a name, an address or a device in the clear', async () => {
    expect(seen.length).toBeGreaterThanOrEqual(EVENT_TYPES.length);
    const personal = [
      email,
      otherEmail,
      username,
      ...Object.values(names),
      ...Object.values(DEVICE),
      'Countess',
      'Other/9.9',
      'other phone',
    ];
    const [stored] = await rows<{ text: string }>(service, `select string_agg(events::text, '\n') as text from events`);
    const told = `${JSON.stringify(seen)}\n${stored?.text}`.toLowerCase();
    expect(personal.filter((value) => told.includes(value.toLowerCase()))).toEqual([]);
  });

  it('is no longer told with the sealed address of who was erased, once the mail about it is queued', async () => {
    await mailbox.mail(email, /erased/);
    expect((await allEvents()).filter(({ type }) => type === 'user.deleted').map(({ payload }) => payload)).toEqual([{}]);
  });
});

describe('a change and its event', () => {
  const counts = () => rows(service, 'select (select count(*) from users) as users, (select count(*) from events) as events');

  afterEach(() => mailbox.mails.splice(0));

  it.each(['events', 'audit_events', 'profiles'])('are rolled back together where %s cannot be written', async (table) => {
    const { id } = await register(service);
    const before = await counts();
    await whileInsertsFail(service, table, async () => {
      await expectStatus(service.auth.register({ email: newEmail(), password: PASSWORD }), 'INTERNAL', 'INTERNAL_ERROR');
      if (table === 'profiles') return;
      await expectStatus(service.users.deactivateUser({ userId: id }), 'INTERNAL', 'INTERNAL_ERROR');
      await expectStatus(service.users.deleteUser({ userId: id }), 'INTERNAL', 'INTERNAL_ERROR');
    });
    expect(await counts()).toEqual(before);
    expect((await service.users.getUser({ userId: id })).user?.active).toBe(true);
  });

  it('do not exist where the call is refused, or changes nothing', async () => {
    const { id, email } = await register(service);
    const { auth, users, roles } = service;
    const events = await eventsOf(async () => {
      await expectStatus(auth.register({ email, password: PASSWORD }), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
      await expectStatus(auth.resetPassword({ resetToken: 'made up', newPassword: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
      await users.reactivateUser({ userId: id });
      await roles.unassignRole({ role: 'reader', userId: id });
      await users.updateUser({ user: { id }, updateMask: [] });
    });
    expect(events).toEqual([]);
  });

  it('are told of a request about an unknown address without a user, and lead to no mail', async () => {
    const email = newEmail();
    const known = await register(service);
    const events = await eventsOf(async () => {
      await service.auth.requestPasswordReset({ email });
      await service.auth.requestPasswordReset({ email: known.email });
    });
    expect(events.map(({ type, userId }) => [type, userId])).toEqual([
      ['user.password_reset_requested', null],
      ['user.password_reset_requested', known.id],
    ]);
    // The order of the events is the order of the mails.
    await mailbox.mail(known.email, /^Reset/);
    expect(mailbox.to(email)).toEqual([]);
  });
});
