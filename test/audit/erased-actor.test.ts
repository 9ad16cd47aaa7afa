import { describe, expect, it } from 'vitest';
import { newEmail, PASSWORD, signedIn } from '../support/builders.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { newName, roleWith } from '../support/grants.ts';
import { importUntilEnd, importUsers, newRow } from '../support/import-users.ts';
import { untilBlocked } from '../support/locks.ts';
import { untilNoMailIsPending } from '../support/mailbox.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

interface Writer {
  /** Calls as somebody, about somebody else or about nobody that there is yet. */
  readonly call: (token: string, other: { readonly id: string; readonly email: string }) => Promise<unknown>;
  /** What the call writes down. */
  readonly types: readonly string[];
}

const login = (token: string, email: string, password: string) => service.auth.login({ email, password }, { token });

/** Every piece of code that writes to the audit trail, by a call that comes to it. */
const WRITERS: Readonly<Record<string, Writer>> = {
  DeactivateUser: {
    call: (token, { id }) => service.users.deactivateUser({ userId: id }, { token }),
    types: ['session.revoked', 'user.deactivated'],
  },
  CreateUser: {
    call: (token) => service.users.createUser({ email: newEmail(), password: PASSWORD }, { token }),
    types: ['user.created'],
  },
  Register: {
    call: (token) => service.auth.register({ email: newEmail(), password: PASSWORD }, { token }),
    types: ['user.created', 'user.email_verification_requested'],
  },
  Login: { call: (token, { email }) => login(token, email, PASSWORD), types: ['user.login'] },
  'Login with a wrong password': {
    call: (token, { email }) => login(token, email, 'wrong').catch(() => undefined),
    types: ['user.login_failed'],
  },
  'Login of nobody': { call: (token) => login(token, newEmail(), 'wrong').catch(() => undefined), types: ['user.login_failed'] },
  ImportUsers: {
    call: (token) => importUsers(service, [newRow(), newRow()], { token }),
    types: ['user.created', 'user.created'],
  },
};

const PERMISSIONS = ['users.write', 'users.import', 'auth.register', 'auth.login', 'roles.write'].map((name) => `identity.${name}`);

/** Somebody who may write about others; they have no address here, and are known to the service by now. */
async function caller() {
  const { user, tokens } = await signedIn(service);
  await service.roles.assignRole({ role: await roleWith(service, PERMISSIONS), userId: user.id });
  const token = tokens.accessToken;
  const permissions = async () => (await service.auth.getCaller({}, { token })).permissions;
  await expect.poll(permissions, { timeout: 5000 }).toEqual(PERMISSIONS.toSorted());
  return { id: user.id, token };
}

/**
 * Makes a call while its caller is being erased: the erasure has locked the user, and waits for what the test holds. `reached`: how far the
 * call gets before the erasure goes on.
 */
async function whileErased(userId: string, call: () => Promise<unknown>, reached: (ended: Promise<unknown>) => Promise<unknown>) {
  // Whoever sends mails to the user would wait as well.
  await untilNoMailIsPending(service.database.pool);
  const connection = await service.database.pool.connect();
  try {
    await connection.query('begin');
    // The erasure takes the user's name from these, last of all.
    await connection.query('select 1 from audit_events where user_id = $1 for update', [userId]);
    const erasure = service.users.deleteUser({ userId });
    erasure.catch(() => undefined);
    await untilBlocked(service, 1);
    const ended = call();
    ended.catch(() => undefined);
    await reached(ended);
    await connection.query('commit');
    await Promise.all([erasure, ended]);
  } finally {
    await connection.query('rollback');
    connection.release();
  }
}

/** Until somebody else waits, too. */
function untilItWaits(): Promise<void> {
  const waits = untilBlocked(service, 2);
  waits.catch(() => undefined);
  return waits;
}

const written = async (since: Date) =>
  rows(
    service,
    'select type, actor, coalesce(ip_address, user_agent, device_name) as device from audit_events where actor <> $1 and occurred_at >= $2 order by type',
    ['service_account:test-admin', since],
  );

/** The events that name a user anywhere. */
const namedBy = (userId: string) => rows(service, 'select 1 from audit_events where audit_events::text like $1', [`%${userId}%`]);

describe('somebody who is being erased while they make a call', () => {
  it.each(Object.entries(WRITERS))('is not named by what %s writes down', async (_, { call, types }) => {
    const { id, token } = await caller();
    const other = (await signedIn(service)).user;
    const since = service.clock.now();
    // Whoever writes waits for what becomes of the caller; whoever does not is done with it too early.
    await whileErased(
      id,
      () => call(token, other),
      (ended) => Promise.race([untilItWaits(), ended]),
    );
    expect(await written(since)).toEqual(types.map((type) => ({ type, actor: 'erased user', device: null })));
    expect(await namedBy(id)).toEqual([]);
  });
});

it('somebody who is being erased while they make a role is nobody any more: it is not made', async () => {
  const { id, token } = await caller();
  const name = newName();
  const call = () => expectStatus(service.roles.createRole({ role: { name } }, { token }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  await whileErased(id, call, (ended) => Promise.race([untilItWaits(), ended]));
  await expectStatus(service.roles.getRole({ name }), 'NOT_FOUND', 'ROLE_NOT_FOUND');
});

describe('somebody who is being erased while a call of theirs is refused', () => {
  const REFUSED: readonly (readonly [string, (token: string) => Promise<unknown>])[] = [
    ['for a permission', (token) => failureOf(service.audit.listAuditEvents({}, { token }))],
    ['for a role that they may not give', (token) => importUntilEnd(service, [newRow({ roles: ['admin'] })], { token })],
  ];

  it.each(REFUSED)('is not named (%s)', async (_, call) => {
    const { id, token } = await caller();
    const since = service.clock.now();
    await whileErased(id, () => call(token), untilItWaits);
    // A refusal is written down behind the back of whoever is refused.
    await untilBlocked(service, 0);
    await expect.poll(() => written(since)).toEqual([{ type: 'call.refused', actor: 'erased user', device: null }]);
    expect(await namedBy(id)).toEqual([]);
  });
});
