import { describe, expect, it } from 'vitest';
import { signedIn } from '../../support/builders.ts';
import { roleWith } from '../../support/grants.ts';
import { holdAnswer } from '../../support/held-answers.ts';
import { rows } from '../../support/rows.ts';
import { useReplicas } from '../../support/service.ts';
import { untilChangesAreKnown } from '../../support/statements.ts';

const { database, here, there } = useReplicas();

type Session = Awaited<ReturnType<typeof signedIn>>;

/** What overtakes the answer about a session, and whether a replica hears of it by an event or by a new epoch. */
const ENDS: readonly (readonly [string, (session: Session) => Promise<unknown>])[] = [
  ['RevokeSession, here', ({ tokens }) => here.sessions.revokeSession({ sessionId: tokens.sessionId })],
  ['RevokeSession, there', ({ tokens }) => there.sessions.revokeSession({ sessionId: tokens.sessionId })],
  ['Logout, there', ({ tokens }) => there.auth.logout({ refreshToken: tokens.refreshToken })],
  ['DeactivateUser, there', ({ user }) => there.users.deactivateUser({ userId: user.id })],
  ['DeleteUser, there', ({ user }) => there.users.deleteUser({ userId: user.id })],
  ['plain SQL that deactivates the user', ({ user }) => rows(here, 'update users set is_active = false where id = $1', [user.id])],
];

/** Asks for a token here; while the answer is on its way, something changes, and everybody knows that before the answer is there. */
async function overtaken({ tokens: { accessToken, sessionId } }: Session, change: () => Promise<unknown>): Promise<void> {
  const answer = holdAnswer('sessions', sessionId);
  const first = here.auth.introspectToken({ accessToken });
  await answer.answered();
  await change();
  await untilChangesAreKnown(database, 2);
  answer.release();
  // Asked before the change: that is the answer of then.
  expect((await first).active).toBe(true);
}

describe('what was found out about a session is not remembered', () => {
  it.each(ENDS)('where it ended meanwhile: %s', async (_, end) => {
    const session = await signedIn(here);
    await overtaken(session, () => end(session));
    const { accessToken } = session.tokens;
    expect((await here.auth.introspectToken({ accessToken })).active).toBe(false);
    await expect(here.auth.getCaller({}, { token: accessToken })).rejects.toThrow();
  });

  it('where its user got or lost a role meanwhile', async () => {
    const session = await signedIn(here);
    const role = await roleWith(here, ['invoices.approve']);
    const permissionsOf = async ({ tokens: { accessToken } }: Session) =>
      (await here.auth.introspectToken({ accessToken })).claims?.permissions;
    await overtaken(session, () => there.roles.assignRole({ role, userId: session.user.id }));
    expect(await permissionsOf(session)).toEqual(['invoices.approve']);

    const other = await signedIn(here);
    await there.roles.assignRole({ role, userId: other.user.id });
    await overtaken(other, () => there.roles.unassignRole({ role, userId: other.user.id }));
    expect(await permissionsOf(other)).toEqual([]);
  });
});
