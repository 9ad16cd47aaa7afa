import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { atOnce, newEmail, PASSWORD, register } from '../support/builders.ts';
import { Mailbox, tokenIn, untilNoMailIsPending } from '../support/mailbox.ts';
import { freePort } from '../support/ports.ts';
import { rows, whileInsertsFail } from '../support/rows.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
let port: number;
const mailboxes: Mailbox[] = [];

beforeEach(async () => {
  port = await freePort();
  service = await startService({ SMTP_URL: `smtp://user:password@127.0.0.1:${port}` });
});

afterEach(async () => {
  await service.stop();
  await Promise.all(mailboxes.splice(0).map((mailbox) => mailbox.close()));
});

/** Lets the mail server come up, where nothing listened before. */
async function openMailbox(options?: ConstructorParameters<typeof Mailbox>[0]): Promise<Mailbox> {
  const mailbox = new Mailbox({ onAuth: ({ username }, _session, done) => done(null, { user: username }), ...options });
  mailboxes.push(mailbox);
  await mailbox.listen(port);
  return mailbox;
}

interface QueuedMail {
  readonly [column: string]: unknown;
  readonly attempts: number;
  /** Seconds. */
  readonly pause: number;
}

async function queued(): Promise<QueuedMail[]> {
  const mails = await rows<{ attempts: number; next: Date }>(
    service,
    'select attempts, next_attempt_at as next from mails order by created_at',
  );
  return mails.map(({ attempts, next }) => ({ attempts, pause: (next.getTime() - service.clock.now().getTime()) / 1000 }));
}

const refuse = (responseCode: number) => Object.assign(new Error('refused'), { responseCode });

/** Until the only mail in the queue has failed so often; how long it pauses then. A mail that is under way pauses for the lease. */
async function pauseAfter(failures: number): Promise<number> {
  const LEASE = 60;
  let last: QueuedMail | undefined;
  const settled = async () => {
    [last] = await queued();
    return last?.attempts === failures && !(last.pause > LEASE - 3 && last.pause <= LEASE);
  };
  await expect.poll(settled).toBe(true);
  return last?.pause ?? 0;
}

/** Until as many mails wait for another attempt. */
const untilWaiting = (count: number) =>
  expect.poll(async () => (await queued()).filter(({ attempts, pause }) => attempts > 0 && pause <= 20).length).toBe(count);

const untilQueueIsEmpty = () => untilNoMailIsPending(service.database.pool);

const failures = () =>
  rows(service, `select user_id as "userId", actor, metadata from audit_events where type = 'mail.failed' order by occurred_at`);

/** Seconds in which a mail that has failed a few times is tried again, and a link that was asked for is still the same. */
const RETRIED_WITHIN = 300;

describe('a mail while the mail server is down', () => {
  it('is tried again with pauses that double, and arrives once when the server is up, with a token that is good', async () => {
    const { email } = await register(service);
    for (const [n, pause] of [10, 20, 40, 80].entries()) {
      const actual = await pauseAfter(n + 1);
      expect(actual).toBeLessThanOrEqual(pause);
      expect(actual).toBeGreaterThan(pause - 3);
      service.clock.advance(pause);
    }
    await pauseAfter(5);
    const mailbox = await openMailbox();
    service.clock.advance(160);
    const mail = await mailbox.mail(email, /^Confirm/);
    await untilQueueIsEmpty();
    expect(mailbox.mails).toHaveLength(1);
    expect((await service.auth.verifyEmail({ verificationToken: tokenIn(mail) })).user?.emailVerified).toBe(true);
    expect(await failures()).toEqual([]);
  });

  it('is given up after four hours and a half, which is audited without the address', async () => {
    const { id, email } = await register(service);
    let waited = 0;
    for (let failed = 1; failed < 13; failed++) {
      const pause = await pauseAfter(failed);
      expect(pause).toBeLessThanOrEqual(3600);
      service.clock.advance(pause);
      waited += pause;
    }
    await untilQueueIsEmpty();
    expect(waited / 3600).toBeGreaterThan(4.3);
    expect(waited / 3600).toBeLessThan(4.6);
    const failed = await failures();
    expect(failed).toEqual([
      { userId: id, actor: expect.any(String), metadata: { template: 'verify-email', attempts: '13', code: expect.any(String) } },
    ]);
    expect(JSON.stringify(failed)).not.toContain(email);
    const mailbox = await openMailbox();
    const other = await register(service);
    await mailbox.mail(other.email, /^Confirm/);
    expect(mailbox.to(email)).toEqual([]);
  });

  it('is not sent any more once its token has expired, and nothing is said to have failed', async () => {
    const { email } = await register(service);
    await service.auth.requestPasswordReset({ email });
    await untilWaiting(2);
    const mailbox = await openMailbox();
    // A token for a new password is good for half an hour, the other one for a day.
    service.clock.advance(31 * 60);
    await mailbox.mail(email, /^Confirm/);
    await untilQueueIsEmpty();
    expect(mailbox.mails.map(({ subject }) => subject)).toEqual([expect.stringMatching(/^Confirm/)]);
    expect(await failures()).toEqual([]);
  });

  it('says the same as the one that is asked for some minutes later: both have one token', async () => {
    const { email } = await register(service);
    await service.auth.requestPasswordReset({ email });
    await untilWaiting(2);
    const mailbox = await openMailbox();
    service.clock.advance(RETRIED_WITHIN);
    await service.auth.requestPasswordReset({ email });
    await mailbox.mail(email, /^Reset/, 2);
    await untilQueueIsEmpty();
    const resets = mailbox.mails.filter(({ subject }) => subject?.startsWith('Reset'));
    const [token, ...others] = new Set(resets.map(tokenIn));
    expect([resets.length, others]).toEqual([2, []]);
    await service.auth.resetPassword({ resetToken: token ?? '', newPassword: 'another long enough passphrase' });
  });

  it('is not sent any more once its token was made pointless', async () => {
    let refused = 1;
    const mailbox: Mailbox = await openMailbox({
      onMailFrom: (_address, _session, done) => done(refused-- > 0 ? refuse(451) : null),
    });
    const { email } = await register(service);
    await pauseAfter(1);
    await service.auth.requestPasswordReset({ email });
    const reset = await mailbox.mail(email, /^Reset/);
    // Whoever presents it reads the mail there: there is no need to confirm the address any more.
    await service.auth.resetPassword({ resetToken: tokenIn(reset), newPassword: 'another long enough passphrase' });
    service.clock.advance(60);
    await mailbox.mail(email, /changed$/);
    await untilQueueIsEmpty();
    expect(mailbox.mails.filter(({ subject }) => subject?.startsWith('Confirm'))).toEqual([]);
  });
});

describe('a mail server that refuses', () => {
  it('a recipient for good has the mail given up at once; others get theirs', async () => {
    const nobody = `nobody-${newEmail()}`;
    const mailbox = await openMailbox({
      onRcptTo: ({ address }, _session, done) => (address === nobody ? done(refuse(550)) : done()),
    });
    const { id } = await register(service, { email: nobody });
    const others = await atOnce(8, () => register(service));
    await untilQueueIsEmpty();
    expect(await failures()).toEqual([
      { userId: id, actor: expect.any(String), metadata: { template: 'verify-email', attempts: '1', code: 'EENVELOPE' } },
    ]);
    expect(mailbox.mails).toHaveLength(others.length);
  });

  it('an address that SMTP cannot write has the mail given up at once', async () => {
    await openMailbox();
    const { id, email } = await register(service);
    await untilQueueIsEmpty();
    // No call would take it; it may have been brought along.
    await rows(service, 'update users set email = $2 where id = $1', [id, `ada<${email}`]);
    await rows(service, `insert into events (type, user_id, occurred_at) values ('user.password_changed', $1, now())`, [id]);
    await untilQueueIsEmpty();
    expect(await failures()).toEqual([
      { userId: id, actor: expect.any(String), metadata: { template: 'password-changed', attempts: '1', code: 'ENOMAILBOX' } },
    ]);
  });

  it.each([
    ['a recipient for now', { onRcptTo: 451 }],
    ['the sender, for good', { onMailFrom: 550 }],
    ['to know us before we sign in', { onMailFrom: 530 }],
    ['our password', { onAuth: 535 }],
    ['the content', { onData: 554 }],
  ])('%s gets the mail again, once', async (_, refusals: { onRcptTo?: number; onMailFrom?: number; onAuth?: number; onData?: number }) => {
    let refusing = true;
    const answer = (code: number | undefined) => (code !== undefined && refusing ? refuse(code) : null);
    const mailbox: Mailbox = await openMailbox({
      onAuth: ({ username }, _session, done) => {
        const error = answer(refusals.onAuth);
        if (error) done(error);
        else done(null, { user: username });
      },
      onMailFrom: (_address, _session, done) => done(answer(refusals.onMailFrom)),
      onRcptTo: (_address, _session, done) => done(answer(refusals.onRcptTo)),
      onData: (stream, _session, done) => {
        const error = answer(refusals.onData);
        if (!error) return mailbox.receive(stream, done);
        stream.on('end', () => done(error));
        stream.resume();
      },
    });
    const { email } = await register(service);
    expect(await pauseAfter(1)).toBeLessThanOrEqual(10);
    expect(await failures()).toEqual([]);
    refusing = false;
    service.clock.advance(10);
    await mailbox.mail(email, /^Confirm/);
    await untilQueueIsEmpty();
    expect(mailbox.mails).toHaveLength(1);
  });
});

describe('mails that are asked for before anybody has looked at the first request', () => {
  it('are one for each account', async () => {
    const mailbox = await openMailbox();
    const users = [await register(service), await register(service)];
    await untilQueueIsEmpty();
    const holder = await service.database.pool.connect();
    try {
      await holder.query('begin');
      await holder.query('select from event_cursors for update');
      for (const { email } of [...users, ...users]) await service.auth.requestPasswordReset({ email });
    } finally {
      await holder.query('commit');
      holder.release();
    }
    await untilQueueIsEmpty();
    for (const { email } of users) {
      const [reset, ...others] = mailbox.to(email).filter(({ subject }) => subject?.startsWith('Reset'));
      expect(others).toEqual([]);
      const token = reset && tokenIn(reset);
      await service.auth.resetPassword({ resetToken: token ?? '', newPassword: 'another long enough passphrase' });
    }
  });
});

describe('a change that is rolled back', () => {
  it('leads to no mail', async () => {
    const mailbox = await openMailbox();
    const email = newEmail();
    await whileInsertsFail(service, 'profiles', () => service.auth.register({ email, password: PASSWORD }).catch(() => undefined));
    // Events are dealt with in order: when this mail is there, nothing of before is still to come.
    const later = await register(service);
    await mailbox.mail(later.email, /^Confirm/);
    await untilQueueIsEmpty();
    expect(mailbox.mails).toHaveLength(1);
    await service.auth.register({ email, password: PASSWORD });
    await mailbox.mail(email, /^Confirm/);
  });
});
