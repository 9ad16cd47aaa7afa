import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CredentialKind } from '../../../src/gen/identity/v1/user_service.ts';
import { auditEvents, DEVICE } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, newUsername, PASSWORD, register, required } from '../../support/builders.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { holdUser, untilBlocked } from '../../support/locks.ts';
import { attempt, FAILED, REFUSED, tally, waits } from '../../support/logins.ts';
import { useMailbox } from '../../support/mailbox.ts';
import { requestCode } from '../../support/mails.ts';
import { counterOf, everythingStored } from '../../support/passwords.ts';
import { bookkeeping, rows } from '../../support/rows.ts';
import { startService, useReplicas, useService } from '../../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));
const replicas = useReplicas();

const MADE_UP = randomBytes(32).toString('base64url');

const hashOf = (token: string) => createHash('sha256').update(token).digest();

/** Somebody who has signed in on a device. */
async function onKnownDevice(at = service) {
  const user = await register(at, { username: newUsername() });
  const deviceToken = required((await logIn(at, user.email)).deviceToken);
  return { ...user, identifier: { email: user.email }, deviceToken };
}

type Owner = Awaited<ReturnType<typeof onKnownDevice>>;

async function signIn({ identifier }: Pick<Owner, 'identifier'>, deviceToken?: string): Promise<string> {
  const { tokens } = await service.auth.login({ ...identifier, password: PASSWORD, client: { ...DEVICE, deviceToken } });
  return required(tokens?.deviceToken);
}

const tokensOf = (userId: string) =>
  rows<{ hash: Buffer; used: Date; failed: number }>(
    service,
    'select token_hash as hash, last_used_at as used, failed_attempts as failed from device_tokens where user_id = $1',
    [userId],
  );

describe('a wrong password on a known device', () => {
  it('waits for whoever holds the account, and has not taken the device from them', async () => {
    const { id, identifier, deviceToken } = await onKnownDevice();
    const owner = await holdUser(service, id);
    const guess = attempt(service, identifier, { deviceToken });
    await untilBlocked(service, 1);
    // The next thing that a sign-in or a reset wants. A deadlock would have the service fail one of the two.
    await owner.query("set local lock_timeout = '500ms'");
    await owner.query('update device_tokens set last_used_at = now() where user_id = $1', [id]);
    await owner.release();
    expect((await guess).reason).toBe(FAILED);
    expect(await tokensOf(id)).toMatchObject([{ failed: 1 }]);
  });
});

describe('a right password on a known device, for ChangePassword', () => {
  it('changes the password although others have locked the account, and a wrong one counts for the device alone', async () => {
    const { id, identifier, deviceToken } = await onKnownDevice();
    for (let failed = 0; failed < 5; failed++) await attempt(service, identifier);
    const change = (currentPassword: string, client = {}) =>
      service.auth.changePassword({ userId: id, currentPassword, newPassword: 'another good passphrase', client });
    await expectStatus(change(PASSWORD), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
    await expectStatus(change('wrong', { deviceToken }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await tokensOf(id)).toMatchObject([{ failed: 1 }]);
    await change(PASSWORD, { deviceToken });
    expect(await tokensOf(id)).toMatchObject([{ failed: 0 }]);
    expect(await counterOf(service, id)).toEqual({ failed: 5, locked: true });
  });
});

describe('a right password on a known device, for Reauthenticate', () => {
  it('leaves no attempt in flight, and no failure: the owner may do so again and again, and sign in', async () => {
    const owner = await onKnownDevice();
    const { accessToken: token } = await logIn(service, owner.email);
    const client = { deviceToken: owner.deviceToken };
    for (let failed = 0; failed < 4; failed++) await attempt(service, owner.identifier, client);
    for (let turn = 0; turn < 7; turn++) await service.auth.reauthenticate({ password: PASSWORD, client }, { token });
    expect(
      await rows(
        service,
        'select max(attempts_in_flight) as flying, max(failed_attempts) as failed from device_tokens where user_id = $1',
        [owner.id],
      ),
    ).toEqual([{ flying: 0, failed: 0 }]);
    expect(await signIn(owner, owner.deviceToken)).toBe(owner.deviceToken);
  });
});

describe('a device token', () => {
  it('is given at a sign-in, and not at a refresh', async () => {
    const { email } = await register(service);
    const { refreshToken, deviceToken } = await logIn(service, email);
    expect(deviceToken).toMatch(/^[\w-]{43}$/);
    const { tokens } = await service.auth.refreshToken({ refreshToken, client: { deviceToken } });
    expect(required(tokens).deviceToken).toBeUndefined();
  });

  it('is given at a sign-in with a code as well, and kept by one', async () => {
    const { email } = await register(service);
    const withCode = async (mails: number, deviceToken?: string) => {
      const code = await requestCode(service, mailbox, email, mails);
      return (await service.auth.loginWithCode({ email, code, client: { deviceToken } })).tokens?.deviceToken;
    };
    const first = required(await withCode(1));
    expect(await withCode(2, first)).toBe(first);
  });

  it('is kept by a sign-in with it, whose time is noted; one without gets another', async () => {
    const owner = await onKnownDevice();
    const [before] = await tokensOf(owner.id);
    service.clock.advance(60);
    expect(await signIn(owner, owner.deviceToken)).toBe(owner.deviceToken);
    const [after] = await tokensOf(owner.id);
    expect(required(after).used.getTime()).toBeGreaterThanOrEqual(required(before).used.getTime() + 60_000);
    expect(await signIn(owner)).not.toBe(owner.deviceToken);
    expect(await tokensOf(owner.id)).toHaveLength(2);
  });

  it('is one of at most 20: the one that was unused for longest makes room', async () => {
    const owner = await onKnownDevice();
    const others = [];
    for (let count = 1; count < 20; count++) {
      service.clock.advance(1);
      others.push(await signIn(owner));
    }
    service.clock.advance(1);
    await signIn(owner, owner.deviceToken);
    service.clock.advance(1);
    const last = await signIn(owner);
    const known = (await tokensOf(owner.id)).map(({ hash }) => hash.toString('hex'));
    expect(known.sort()).toEqual([owner.deviceToken, ...others.slice(1), last].map((token) => hashOf(token).toString('hex')).sort());
  });

  it('is one of at most 20 where the sign-ins come at the same time, too', async () => {
    const owner = await onKnownDevice(replicas.here);
    for (let round = 0; round < 6; round++) {
      const { here, there } = replicas;
      await atOnce(5, (index) => attempt(index % 2 ? here : there, owner.identifier, { password: PASSWORD }));
    }
    expect(await rows(replicas.here, 'select 1 from device_tokens where user_id = $1', [owner.id])).toHaveLength(20);
  });

  it('is stored as a hash, and shown nowhere', async () => {
    const owner = await onKnownDevice();
    const { id, deviceToken } = owner;
    await signIn(owner, deviceToken);
    await attempt(service, owner.identifier, { deviceToken });
    expect(await everythingStored(service)).not.toContain(deviceToken);
    expect((await tokensOf(id)).map(({ hash }) => hash)).toEqual([hashOf(deviceToken)]);
    const shown = [
      await service.sessions.listSessions({ userId: id }),
      await service.audit.listAuditEvents({ filter: { userId: id } }),
      await service.users.exportUser({ userId: id }),
    ];
    for (const answer of shown) {
      expect(JSON.stringify(answer)).not.toContain(deviceToken);
      expect(JSON.stringify(answer)).not.toContain(hashOf(deviceToken).toString('hex'));
    }
  });
});

describe('an attempt with a good device token', () => {
  it('is neither refused by the lock of the account nor counted in it', async () => {
    const owner = await onKnownDevice();
    for (let failed = 0; failed < 5; failed++) await attempt(service, owner.identifier);
    const locked = await bookkeeping(service, owner.id);
    expect((await attempt(service, owner.identifier, { password: PASSWORD })).reason).toBe(REFUSED);
    expect((await attempt(service, owner.identifier, { deviceToken: owner.deviceToken })).reason).toBe(FAILED);
    await signIn(owner, owner.deviceToken);
    const { failed_attempts, locked_until } = await bookkeeping(service, owner.id);
    expect({ failed_attempts, locked_until }).toEqual({ failed_attempts: 5, locked_until: locked.locked_until });
    // The lock of the others stays: an owner who signs in gives them no more guesses.
    expect((await attempt(service, owner.identifier, { password: PASSWORD })).reason).toBe(REFUSED);
    expect(await auditEvents(service, 'user.unlocked', owner.id)).toEqual([]);
  });

  it('locks that device after five failures, and nothing else', async () => {
    const owner = await onKnownDevice();
    const { deviceToken } = owner;
    const another = await signIn(owner);
    for (let failed = 0; failed < 5; failed++) expect((await attempt(service, owner.identifier, { deviceToken })).reason).toBe(FAILED);
    const { reason, seconds } = await attempt(service, owner.identifier, { password: PASSWORD, deviceToken });
    expect([reason, seconds]).toEqual([REFUSED, expect.toSatisfy((wait: number) => wait > 1790 && wait <= 1800)]);
    expect(await counterOf(service, owner.id)).toEqual({ failed: 0, locked: false });
    await signIn(owner, another);
    await signIn(owner);
    expect(await auditEvents(service, 'user.locked', owner.id)).toEqual([]);
    expect(await auditEvents(service, 'user.login_failed', owner.id)).toHaveLength(5);
    service.clock.advance(1801);
    await signIn(owner, deviceToken);
  });

  it('is one by whichever name', async () => {
    const owner = await onKnownDevice();
    const { deviceToken } = owner;
    const byUsername = { username: required(owner.username) };
    for (let failed = 0; failed < 3; failed++) await attempt(service, owner.identifier, { deviceToken });
    for (let failed = 0; failed < 2; failed++) await attempt(service, byUsername, { deviceToken });
    expect((await attempt(service, byUsername, { password: PASSWORD, deviceToken })).reason).toBe(REFUSED);
  });

  it('is one of five where the token was stolen, of 200 parallel ones on two replicas', async () => {
    const { here, there } = replicas;
    const owner = await onKnownDevice(here);
    const { deviceToken, id } = owner;
    const outcomes = await atOnce(200, (index) => attempt(index % 2 ? here : there, owner.identifier, { deviceToken }));
    expect(tally(outcomes)).toEqual({ [FAILED]: 5, [REFUSED]: 195 });
    expect(await auditEvents(here, 'user.login_failed', id)).toHaveLength(5);
    expect((await attempt(here, owner.identifier, { password: PASSWORD, deviceToken })).reason).toBe(REFUSED);
    expect(await counterOf(here, id)).toEqual({ failed: 0, locked: false });
    await logIn(here, owner.email);
  });

  it('is no failure where the right password comes ten times at once', async () => {
    const { here, there } = replicas;
    const owner = await onKnownDevice(here);
    const { deviceToken, id } = owner;
    const outcomes = await atOnce(10, (index) => attempt(index % 2 ? here : there, owner.identifier, { password: PASSWORD, deviceToken }));
    const { success = 0, ...others } = tally(outcomes);
    expect(success).toBeGreaterThanOrEqual(5);
    expect(others).toEqual(success === 10 ? {} : { [REFUSED]: 10 - success });
    for (const wait of waits(outcomes)) expect(wait).toBe(1);
    const counts = 'select attempts_in_flight as claimed, failed_attempts as failed, locked_until from device_tokens where token_hash = $1';
    expect(await rows(here, counts, [hashOf(deviceToken)])).toEqual([{ claimed: 0, failed: 0, locked_until: null }]);
    expect(await rows(here, 'select 1 from device_tokens where user_id = $1', [id])).toHaveLength(1);
  });

  it('is one on a locked device that UnlockUser unlocks', async () => {
    const owner = await onKnownDevice();
    const { deviceToken } = owner;
    for (let failed = 0; failed < 5; failed++) await attempt(service, owner.identifier, { deviceToken });
    await service.users.unlockUser({ userId: owner.id });
    await signIn(owner, deviceToken);
  });

  it('opens no account that is deactivated', async () => {
    const owner = await onKnownDevice();
    await service.users.deactivateUser({ userId: owner.id });
    const { deviceToken } = owner;
    expect((await attempt(service, owner.identifier, { password: PASSWORD, deviceToken })).reason).toBe(FAILED);
    expect((await tokensOf(owner.id))[0]?.failed).toBe(1);
  });
});

/** Tokens that are good for nothing, for somebody who has one that is. */
const USELESS: readonly (readonly [name: string, token: (owner: Owner) => Promise<string>])[] = [
  ['of another account', async () => (await onKnownDevice()).deviceToken],
  ['made up', async () => MADE_UP],
  ['malformed', async () => 'not a token at all'],
  ['far too long', async ({ deviceToken }) => deviceToken.repeat(1000)],
  ['in another case', async ({ deviceToken }) => deviceToken.toUpperCase()],
  ['followed by a line break', async ({ deviceToken }) => `${deviceToken}\n`],
  [
    'of an account whose devices were forgotten',
    async ({ id, deviceToken }) => {
      await service.users.revokeCredentials({ userId: id, kinds: [CredentialKind.CREDENTIAL_KIND_DEVICE_TOKENS] });
      return deviceToken;
    },
  ],
  [
    'unused for half a year',
    async ({ id, deviceToken }) => {
      await rows(service, `update device_tokens set last_used_at = $2::timestamptz - interval '180 days' where user_id = $1`, [
        id,
        service.clock.now(),
      ]);
      return deviceToken;
    },
  ],
];

describe.each(USELESS)('a device token that is %s', (_name, tokenFor) => {
  it('is as if absent: its attempts count for the account, and are refused by its lock', async () => {
    const owner = await onKnownDevice();
    const deviceToken = await tokenFor(owner);
    const transcript = [];
    for (let guess = 0; guess < 6; guess++) transcript.push((await attempt(service, owner.identifier, { deviceToken })).reason);
    transcript.push((await attempt(service, owner.identifier, { password: PASSWORD, deviceToken })).reason);
    expect(transcript).toEqual([...Array(5).fill(FAILED), REFUSED, REFUSED]);
    expect(await counterOf(service, owner.id)).toEqual({ failed: 5, locked: true });
  });

  it('is replaced at a sign-in', async () => {
    const owner = await onKnownDevice();
    const useless = await tokenFor(owner);
    const given = await signIn(owner, useless);
    expect(given).not.toBe(useless);
    expect(given).toMatch(/^[\w-]{43}$/);
  });
});

it('tells nothing where nobody has the email', async () => {
  const { deviceToken } = await onKnownDevice();
  const unknown = { email: newEmail() };
  for (let guess = 0; guess < 5; guess++) expect((await attempt(service, unknown, { deviceToken })).reason).toBe(FAILED);
  expect((await attempt(service, unknown, { deviceToken })).reason).toBe(REFUSED);
});

describe('an attacker who guesses once a second for ever', () => {
  const ATTACK_SECONDS = 3600;
  const LOGINS = 100;

  it('keeps the owner from nothing on a known device, and gets five guesses for each lock', { timeout: 300_000 }, async () => {
    const patient = await startService({ RATE_LIMIT_PER_IDENTIFIER: '0', MAX_SESSIONS: '1000' });
    try {
      const owner = await onKnownDevice(patient);
      let [successes, compared] = [0, 0];
      for (let second = 0; second < ATTACK_SECONDS; second++) {
        if ((await attempt(patient, owner.identifier)).reason === FAILED) compared++;
        patient.clock.advance(1);
        if (second % (ATTACK_SECONDS / LOGINS) !== 0) continue;
        const { deviceToken } = owner;
        const outcome = await attempt(patient, owner.identifier, { password: PASSWORD, deviceToken });
        if (outcome.reason === 'success') successes++;
      }
      expect(successes).toBe(LOGINS);
      // Two locks of half an hour. The clock runs on by itself a little, too.
      expect(compared).toBeLessThanOrEqual(15);
    } finally {
      await patient.stop();
    }
  });
});
