import { describe, expect, it } from 'vitest';
import { logIn, register } from '../../support/builders.ts';
import { useService } from '../../support/service.ts';

const YEAR = 365 * 86_400;

const service = useService();

describe('a password', () => {
  it.each([
    ['lower case alone', 'ruckelndesfagott'],
    ['upper case alone', 'RUCKELNDESFAGOTT'],
    ['digits alone', '83051947260'],
    ['signs alone', '§?%&=;-_~"('],
    ['letters of another script', 'тёмныйлесшумит'],
    ['emoji alone', '🔑🔒🔓🗝🚪🏠🧱🪟'],
    ['blanks within and around it', ' a b  c d  '],
  ])('may be of any composition: %s', async (_, password) => {
    const { email } = await register(service, { password });
    await logIn(service, email, password);
  });

  it('is good however old it is: nobody has to change it', async () => {
    const { email } = await register(service);
    service.clock.advance(10 * YEAR);
    const { sessionId } = await logIn(service, email);
    expect(sessionId).not.toBe('');
  });
});
