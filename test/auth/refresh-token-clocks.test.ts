import { beforeAll, describe, expect, it } from 'vitest';
import { required, signedIn } from '../support/builders.ts';
import { untilBlocked } from '../support/locks.ts';
import { useReplicas } from '../support/service.ts';
import { eventsOfSession, expectAlive, refresh } from '../support/sessions.ts';

const GRACE = 10;

const { here, there } = useReplicas();

describe('RefreshToken on replicas whose clocks are apart by more than the grace', () => {
  // There it is later.
  beforeAll(() => there.clock.advance(GRACE + 5));

  it.each([
    ['ahead', () => [here, there] as const],
    ['behind', () => [there, here] as const],
  ])('gives a retry the same successor where the second clock is %s', async (_, replicas) => {
    const [first, second] = replicas();
    let { tokens } = await signedIn(first);
    for (let round = 1; round <= 5; round++) {
      const answer = await refresh(first, tokens.refreshToken);
      for (const retried of [second, first, second]) {
        expect((await refresh(retried, tokens.refreshToken)).refreshToken).toBe(answer.refreshToken);
      }
      tokens = answer;
    }
    expect(await eventsOfSession(first, tokens.sessionId)).toEqual([]);
    await expectAlive(second, tokens);
  });

  it('goes on for clients that use one after the other, with each answer lost once', async () => {
    let { tokens } = await signedIn(here);
    for (let round = 1; round <= 10; round++) {
      const [lost, retried] = round % 2 ? [here, there] : [there, here];
      await refresh(lost, tokens.refreshToken);
      tokens = await refresh(retried, tokens.refreshToken);
    }
    expect(await eventsOfSession(here, tokens.sessionId)).toEqual([]);
  });
});

describe('RefreshToken while the database stalls for longer than the grace', () => {
  it('goes by the moment at which a token was presented: of two tabs, neither ends the session', async () => {
    const { tokens } = await signedIn(here);
    const next = await refresh(here, tokens.refreshToken);
    const connection = await here.database.pool.connect();
    await connection.query('begin');
    await connection.query('select 1 from sessions where id = $1 for update', [tokens.sessionId]);
    const newer = refresh(here, next.refreshToken);
    await untilBlocked(here, 1);
    const older = refresh(here, tokens.refreshToken);
    await untilBlocked(here, 2);
    here.clock.advance(GRACE + 5);
    await connection.query('commit');
    connection.release();
    const answers = await Promise.all([newer, older]);
    expect(await eventsOfSession(here, tokens.sessionId)).toEqual([]);
    await expectAlive(here, required(answers[0]));
  });
});
