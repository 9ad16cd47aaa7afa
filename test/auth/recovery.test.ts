import { describe, expect, it } from 'vitest';
import { logIn, registerVerified, required } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { codeIn, tokenIn, useMailbox } from '../support/mailbox.ts';
import { countMails, SUBJECTS, untilMailsAreSent } from '../support/mails.ts';
import { useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const NEW = 'an entirely different secret';

/** Somebody who knows only the address, and keeps at it: once a second. */
async function attack(email: string, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await service.auth.requestPasswordReset({ email });
    await service.auth.requestLoginCode({ email });
    service.clock.advance(1);
  }
}

/** An account that the attacker has locked as well. */
async function attacked() {
  const { id, email } = await registerVerified(service);
  for (let failed = 0; failed < 5; failed++) {
    await expectStatus(service.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  }
  await expectStatus(logIn(service, email), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
  return { id, email };
}

/** The newest link or code that the owner has got. */
const newest = async (email: string, subject: RegExp) => {
  await untilMailsAreSent(service);
  return required(mailbox.to(email).findLast((mail) => subject.test(mail.subject ?? '')));
};

describe('an attacker who locks the account and asks for mails once a second', () => {
  it('voids no link and no code: the owner who uses the newest after 3 seconds gets in, 7 of 7 times', async () => {
    let [byCode, byLink] = [0, 0];
    for (let round = 0; round < 7; round++) {
      const { email } = await attacked();
      await attack(email, 2 + round);
      const [code, resetToken] = [codeIn(await newest(email, SUBJECTS.code)), tokenIn(await newest(email, SUBJECTS.reset))];
      await attack(email, 3);
      byCode += (await service.auth.loginWithCode({ email, code })).tokens ? 1 : 0;
      await service.auth.resetPassword({ resetToken, newPassword: NEW });
      byLink += (await logIn(service, email, NEW)).accessToken ? 1 : 0;
    }
    expect([byCode, byLink]).toEqual([7, 7]);
  });

  it('has a mail of each kind sent once a minute, each of them good for at least half a life', async () => {
    const { email } = await attacked();
    await attack(email, 130);
    expect(await countMails(service, mailbox, email, SUBJECTS.reset)).toBe(3);
    expect(await countMails(service, mailbox, email, SUBJECTS.code)).toBe(3);
    const codes = mailbox.to(email).filter(({ subject = '' }) => SUBJECTS.code.test(subject));
    expect(new Set(codes.map(codeIn)).size).toBe(1);
    await service.auth.loginWithCode({ email, code: codeIn(required(codes[0])) });
  });
});
