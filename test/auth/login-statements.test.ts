import { describe, expect, it } from 'vitest';
import { DEVICE } from '../support/audit.ts';
import { logIn, PASSWORD, register } from '../support/builders.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { statementsOf, stopFollowingEvents, untilCallerIsKnown } from '../support/statements.ts';

/** With every limit that there is, as in production. */
const service = useService({ RATE_LIMIT_PER_ADDRESS: '1000', RATE_LIMIT_PER_IDENTIFIER: '1000' });

describe('Login', () => {
  it('makes at most 14 statements besides the hash, BEGIN and COMMIT among them, whatever there is to write', async () => {
    const { email } = await register(service);
    const login = (userAgent: string) => () => service.auth.login({ email, password: PASSWORD, client: { ...DEVICE, userAgent } });
    await untilCallerIsKnown(service);
    await stopFollowingEvents(service.database);

    const onFirstDevice = await statementsOf(login('one browser'));
    const onKnownDevice = await statementsOf(login('one browser'));
    const onAnotherDevice = await statementsOf(login('another browser'));
    for (let count = 4; count <= 5; count++) await logIn(service, email);
    const withOneSessionTooMany = await statementsOf(login('one browser'));

    expect(await rows(service, `select type from events where type in ('user.new_device', 'session.revoked')`)).toHaveLength(2);
    for (const statements of [onFirstDevice, onKnownDevice, onAnotherDevice, withOneSessionTooMany]) {
      expect(statements.length).toBeLessThanOrEqual(14);
    }
  });
});
