import { beforeAll, describe, expect, it } from 'vitest';
import { newEmail, register } from '../support/builders.ts';
import { failureOf } from '../support/expect-status.ts';
import { programWith } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { type TestService, useService } from '../support/service.ts';
import { statementsOf, stopFollowingEvents, untilCallerIsKnown, withoutValues } from '../support/statements.ts';
import { toldApartByTime } from '../support/timing.ts';

/** Nobody reads the mails: that would cost more than everything else. */
const mailbox = useMailbox({ onData: (stream, _session, done) => void stream.resume().once('end', () => done()) });
const service = useService(() => ({ SMTP_URL: mailbox.url(), LOCKOUT_MAX_ATTEMPTS: '1000', RATE_LIMIT_PER_IDENTIFIER: '0' }));

/** Somebody who wants to have another address. */
let requester = '';

beforeAll(async () => {
  requester = (await register(service)).id;
});

type Request = (auth: TestService['auth'], email: string) => Promise<unknown>;

const REQUESTS: [string, Request][] = [
  ['RequestEmailVerification', (auth, email) => auth.requestEmailVerification({ email })],
  ['RequestPasswordReset', (auth, email) => auth.requestPasswordReset({ email })],
  ['RequestEmailChange', (auth, newEmail) => auth.requestEmailChange({ userId: requester, newEmail })],
  ['RequestLoginCode', (auth, email) => auth.requestLoginCode({ email })],
  [
    'LoginWithCode with a wrong code',
    async (auth, email) =>
      expect(await failureOf(auth.loginWithCode({ email, code: '00000000' }))).toMatchObject({ code: 'UNAUTHENTICATED' }),
  ],
];

const WARM_UP = 30;
const ROUNDS = 300;

/** The request, for emails that somebody has and for ones that nobody has. */
async function bothOf(request: Request): Promise<{ known: () => Promise<unknown>; unknown: () => Promise<unknown> }> {
  const emails = Array.from({ length: 30 }, newEmail);
  for (const email of emails) {
    await service.users.createUser({ email });
    await service.auth.requestLoginCode({ email });
  }
  await untilCallerIsKnown(service);
  let calls = 0;
  return {
    known: () => request(service.auth, emails[calls++ % emails.length] as string),
    unknown: () => request(service.auth, newEmail()),
  };
}

describe('for an email that nobody has as for one that somebody has,', () => {
  it.each(REQUESTS)('%s takes the same time', { timeout: 180_000 }, async (_, request) => {
    const both = await bothOf(request);
    await toldApartByTime(both, WARM_UP);
    expect(await toldApartByTime(both, ROUNDS)).toEqual([]);
  });

  it.each(REQUESTS)('%s makes the same statements', async (_, request) => {
    const { known, unknown } = await bothOf(request);
    await stopFollowingEvents(service.database);
    const statements = withoutValues(await statementsOf(known));
    expect(statements.length).toBeGreaterThan(2);
    expect(withoutValues(await statementsOf(unknown))).toEqual(statements);
  });

  it('a sender who has asked for too many addresses makes the same statements as before', async () => {
    const { key } = await programWith(service, ['identity.auth.recover']);
    const ask = (email: string) => () => service.auth.requestPasswordReset({ email }, { token: key });
    const emails = Array.from({ length: 2 }, newEmail);
    for (const email of emails) await service.users.createUser({ email });
    await untilCallerIsKnown(service);
    await ask(newEmail())();
    await stopFollowingEvents(service.database);
    const statements = withoutValues(await statementsOf(ask(emails[0] ?? '')));
    expect(statements).toContain('rate-limits.count-recipient');
    expect(withoutValues(await statementsOf(ask(newEmail())))).toEqual(statements);
    for (let turn = 0; turn < 20; turn++) await ask(newEmail())();
    expect(withoutValues(await statementsOf(ask(emails[1] ?? '')))).toEqual(statements);
    expect(withoutValues(await statementsOf(ask(newEmail())))).toEqual(statements);
  });
});
