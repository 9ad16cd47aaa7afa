import bcrypt from 'bcrypt';
import { describe, expect, it } from 'vitest';
import { CheckPasswordResponse_Rule as Rule } from '../../src/gen/identity/v1/auth_service.ts';
import { newEmail, PASSWORD, register, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus, failureOf } from '../support/expect-status.ts';
import { keyOf, programInRoles, programWith, roleWith } from '../support/grants.ts';
import { counterOf, storeHash } from '../support/passwords.ts';
import { totals } from '../support/rows.ts';
import { startService, useService } from '../support/service.ts';
import { statementsOf, untilCallerIsKnown } from '../support/statements.ts';

const service = useService();

type Request = Parameters<typeof service.auth.checkPassword>[0];

async function rulesFor(request: Request, token?: string): Promise<Rule[]> {
  const { acceptable, reasons } = await service.auth.checkPassword(request, { token });
  expect(acceptable).toBe(reasons.length === 0);
  return reasons.map(({ rule }) => rule);
}

describe('CheckPassword', () => {
  it('tells every broken rule, in words, too', async () => {
    const response = await service.auth.checkPassword({ password: 'shadow', profile: { lastName: 'Shadow' } });
    expect(response).toEqual({
      acceptable: false,
      reasons: [
        { rule: Rule.RULE_TOO_SHORT, description: 'must have at least 8 characters' },
        { rule: Rule.RULE_COMMON, description: 'is among the most common passwords' },
        { rule: Rule.RULE_PERSONAL, description: 'is built from the email, the username, a name or the name of the service' },
      ],
    });
    expect(await rulesFor({ password: 'a'.repeat(1025) })).toEqual([Rule.RULE_TOO_LONG]);
    expect(await rulesFor({ password: PASSWORD })).toEqual([]);
  });

  it.each<[string, Request]>([
    ['email', { email: 'Lovelace@example.com' }],
    ['what is no email yet', { email: 'lovelace' }],
    ['username', { username: 'LOVELACE' }],
    ['first name', { profile: { firstName: 'Lovelace' } }],
    ['last name', { profile: { lastName: 'Lovelace' } }],
    ['full name', { profile: { fullName: 'Augusta Ada King, Countess of Lovelace' } }],
  ])('knows a password that is built from the %s', async (_, given) => {
    expect(await rulesFor({ password: 'l0velace1815', ...given })).toEqual([Rule.RULE_PERSONAL]);
    expect(await rulesFor({ password: 'babbage 1791', ...given })).toEqual([]);
  });

  it('says the same as Register does', async () => {
    for (const password of ['1234567890', 'tiny', PASSWORD]) {
      const { reasons } = await service.auth.checkPassword({ password });
      const descriptions = reasons.map(({ description }) => description);
      const call = service.auth.register({ email: newEmail(), password });
      if (descriptions.length === 0) await call;
      else
        expect(
          (
            await expectInvalid(
              call,
              descriptions.map(() => 'password'),
            )
          ).descriptions,
        ).toEqual(descriptions);
    }
  });

  it('needs no permission, but a caller', async () => {
    const program = await programWith(service, []);
    const { tokens } = await signedIn(service);
    for (const token of [program.key, tokens.accessToken])
      expect(await rulesFor({ password: '12345678' }, token)).toEqual([Rule.RULE_COMMON]);
    await expectStatus(service.auth.checkPassword({ password: PASSWORD }, { token: null }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });

  it('names every violated field', async () => {
    await expectInvalid(service.auth.checkPassword({ userId: 'me' }), ['password', 'user_id']);
  });

  describe('for a user', () => {
    const ADA = { firstName: 'Ada', lastName: 'Lovelace' };

    it('counts their email, username, names and latest passwords, beside what is given', async () => {
      const { id, email } = await register(service, { profile: ADA, username: 'enchantress' });
      for (const password of ['lovelace1815', 'Enchantress!', email, 'babbage1791']) {
        expect(await rulesFor({ password, userId: id, username: 'babbage' })).toEqual([Rule.RULE_PERSONAL]);
      }
      expect(await rulesFor({ password: PASSWORD, userId: id })).toEqual([Rule.RULE_REUSED]);
      await service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: 'lovelace and the engine' });
      for (const password of [PASSWORD, 'lovelace and the engine']) {
        expect(await rulesFor({ password, userId: id.toUpperCase() })).toEqual([Rule.RULE_REUSED]);
      }
      expect(await rulesFor({ password: 'something else', userId: id })).toEqual([]);
    });

    it('tells this who may edit users; to others it is a way to guess the current one, past the lockout', async () => {
      const { user, tokens } = await signedIn(service);
      const stranger = await signedIn(service);
      const backend = await programInRoles(service, ['service']);
      const writer = await programWith(service, ['identity.passwords.write', 'identity.users.write']);
      const reader = await programWith(service, ['identity.users.read', 'identity.users.write']);
      await service.roles.assignRole({ userId: user.id, role: await roleWith(service, ['identity.users.read']) });
      const scoped = await keyOf(service, { userId: user.id }, ['identity.users.read']);
      const ask = { password: PASSWORD, userId: user.id };
      expect(await rulesFor(ask, writer.key)).toEqual([Rule.RULE_REUSED]);
      for (const token of [tokens.accessToken, backend.key]) {
        expect(await rulesFor(ask, token)).toEqual([]);
        expect(await rulesFor({ ...ask, password: user.email }, token)).toEqual([Rule.RULE_PERSONAL]);
      }
      for (const token of [stranger.tokens.accessToken, reader.key, scoped]) {
        const { metadata } = await expectStatus(service.auth.checkPassword(ask, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
        expect(metadata).toEqual({ permission: 'identity.passwords.write' });
      }
    });

    it('says the same of a locked account, and tells a backend nothing about its password', async () => {
      const { id, email } = await register(service);
      for (let failed = 0; failed < 5; failed++) await failureOf(service.auth.login({ email, password: 'wrong' }));
      expect(await counterOf(service, id)).toEqual({ failed: 5, locked: true });
      const backend = await programInRoles(service, ['service']);
      for (const password of [PASSWORD, 'not the password']) expect(await rulesFor({ password, userId: id }, backend.key)).toEqual([]);
      expect(await rulesFor({ password: PASSWORD, userId: id })).toEqual([Rule.RULE_REUSED]);
      expect(await counterOf(service, id)).toEqual({ failed: 5, locked: true });
    });

    it('writes down who was told about the latest passwords, and of whom', async () => {
      const { id } = await register(service);
      const [backend, writer] = [
        await programInRoles(service, ['service']),
        await programWith(service, ['identity.passwords.write', 'identity.users.write']),
      ];
      for (const { key } of [backend, writer]) await rulesFor({ password: 'a guess at it', userId: id }, key);
      await rulesFor({ password: 'a guess at it' }, writer.key);
      const { events } = await service.audit.listAuditEvents({ filter: { userId: id, type: 'user.password_checked' } });
      expect(events.map(({ actor, metadata }) => ({ actor, metadata: [...metadata] }))).toEqual([
        { actor: `service_account:${writer.name}`, metadata: [] },
      ]);
    });

    it('tells only who may ask that there is no such user', async () => {
      const ask = { password: PASSWORD, userId: crypto.randomUUID() };
      await expectStatus(service.auth.checkPassword(ask), 'NOT_FOUND', 'USER_NOT_FOUND');
      const { tokens } = await signedIn(service);
      const asStranger = service.auth.checkPassword(ask, { token: tokens.accessToken });
      await expectStatus(asStranger, 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    });

    it('knows a password that was brought along without a history', async () => {
      const { id } = await register(service, { password: undefined });
      await storeHash(service, id, bcrypt.hashSync(PASSWORD, 4));
      expect(await rulesFor({ password: PASSWORD, userId: id })).toEqual([Rule.RULE_REUSED]);
    });

    it('can be asked as often as a login can', async () => {
      const limited = await startService({ RATE_LIMIT_PER_IDENTIFIER: '2' }, service.database);
      try {
        const { id } = await register(limited);
        const ask = () => limited.auth.checkPassword({ password: 'a guess', userId: id });
        for (let asked = 0; asked < 2; asked++) await ask();
        await expectStatus(ask(), 'RESOURCE_EXHAUSTED', 'RATE_LIMITED');
        await limited.auth.checkPassword({ password: 'a guess' });
      } finally {
        await limited.stop();
      }
    });
  });

  it('stores nothing and counts nothing where it does not tell about the latest passwords', async () => {
    const { id } = await register(service);
    const { key } = await programInRoles(service, ['service']);
    const before = await totals(service);
    for (let asked = 0; asked < 10; asked++) await rulesFor({ password: 'a wrong guess', userId: id }, key);
    expect(await totals(service)).toEqual(before);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    await untilCallerIsKnown(service);
    expect(await statementsOf(() => rulesFor({ password: '12345678', email: 'ada@example.com' }))).toEqual([]);
  });
});

describe('GetPasswordPolicy', () => {
  it('tells the rules in force', async () => {
    expect(await service.auth.getPasswordPolicy({})).toEqual({
      policy: { minLength: 8, maxBytes: 1024, history: 5, commonPasswords: 96_518, breachCheck: false },
    });
    const settings = { PASSWORD_MIN_LENGTH: '15', PASSWORD_HISTORY: '0', BREACH_CHECK_URL: 'http://127.0.0.1:1' };
    const strict = await startService(settings, service.database);
    try {
      const { policy } = await strict.auth.getPasswordPolicy({});
      expect(policy).toMatchObject({ minLength: 15, history: 0, breachCheck: true });
    } finally {
      await strict.stop();
    }
  });

  it('needs no permission, but a caller', async () => {
    const program = await programWith(service, []);
    await service.auth.getPasswordPolicy({}, { token: program.key });
    await expectStatus(service.auth.getPasswordPolicy({}, { token: null }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });
});
