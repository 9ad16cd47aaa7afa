import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { BreachServer } from '../../support/breach-server.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, required, signedIn } from '../../support/builders.ts';
import { CLIENT, type CollectedSpan, Collector, ERROR, INTERNAL, SERVER } from '../../support/collector.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { importOne, newRow } from '../../support/import-users.ts';
import { untilMailsAreSent } from '../../support/mails.ts';
import { useService } from '../../support/service.ts';
import { partsOf } from '../../support/sessions.ts';
import { untilCallerIsKnown } from '../../support/statements.ts';

const collector = new Collector();
const breachServer = new BreachServer();
const endpoint = await collector.start();
const breachUrl = await breachServer.start();
const service = useService({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_BSP_SCHEDULE_DELAY: '50',
  OTEL_SERVICE_NAME: 'accounts',
  // So few that calls wait for the connections of others.
  DATABASE_POOL_MIN: '0',
  DATABASE_POOL_MAX: '2',
  BREACH_CHECK_URL: breachUrl,
  OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,team=a%2Cb',
});
afterAll(() => {
  collector.stop();
  breachServer.stop();
});

/** In nanoseconds: spans begin at a whole one. */
const MILLISECOND = 1_000_000n;

let calls = 0;
const newRequestId = () => `trace-test-${++calls}`;
const callSpan = (requestId: string) => collector.span(({ attributes }) => attributes['identity.request_id'] === requestId);
const named = (name: string) => (span: CollectedSpan) => span.name === name;

/** So many at once that they wait for each other's connections, and so few that none waits for longer than it may. */
const CALLS = 8;

describe('the span of a call', () => {
  it('says which RPC it was and how it ended, as the conventions have it', async () => {
    const { email } = await register(service);
    const requestId = newRequestId();
    await service.auth.login({ email, password: PASSWORD }, { metadata: { 'x-request-id': requestId } });
    expect(await callSpan(requestId)).toMatchObject({
      name: 'identity.v1.AuthService/Login',
      kind: SERVER,
      status: 0,
      parentSpanId: '',
      attributes: {
        'rpc.system': 'grpc',
        'rpc.service': 'identity.v1.AuthService',
        'rpc.method': 'Login',
        'rpc.grpc.status_code': 0,
        'server.address': '127.0.0.1',
        'network.peer.address': '127.0.0.1',
      },
      resource: { 'service.name': 'accounts', 'deployment.environment.name': 'test', team: 'a,b', 'telemetry.sdk.name': 'opentelemetry' },
    });
  });

  it('has below it what took the time: the wait for a thread and the hash on it, and the statements', async () => {
    const { email } = await register(service);
    await untilCallerIsKnown(service);
    const requestId = newRequestId();
    await service.auth.login({ email, password: PASSWORD }, { metadata: { 'x-request-id': requestId } });
    const span = await callSpan(requestId);
    const steps = collector.childrenOf(span);
    const hash = required(steps.find(named('verify password')));
    expect(hash).toMatchObject({ kind: INTERNAL, traceId: span.traceId });
    expect(required(steps.find(named('wait for a hash thread'))).endNanos).toBeLessThanOrEqual(hash.startNanos + MILLISECOND);
    const statements = steps.filter(({ attributes }) => attributes['db.system.name'] === 'postgresql');
    const before = ['rate-limits.count', 'lockout.claim-by-email'];
    const unitOfWork = [
      'begin',
      'select user_roles',
      'with attempted_identifiers',
      // Live sessions, which are those of the generation that goes on.
      'select session_generations',
      'with device_tokens',
      'insert sessions',
      'update users',
      'insert audit_events',
      'commit',
    ];
    expect(statements.map(({ name }) => name)).toEqual([...before, ...unitOfWork]);
    for (const statement of statements)
      expect(statement).toMatchObject({ kind: CLIENT, attributes: { 'db.query.summary': statement.name } });
    for (const step of steps) {
      expect(step.startNanos).toBeGreaterThanOrEqual(span.startNanos - MILLISECOND);
      expect(step.endNanos).toBeLessThanOrEqual(span.endNanos + MILLISECOND);
    }
  });

  it('has the question whether a password has leaked, which somebody outside answers', async () => {
    const requestId = newRequestId();
    await service.auth.register({ email: newEmail(), password: PASSWORD }, { metadata: { 'x-request-id': requestId } });
    const steps = collector.childrenOf(await callSpan(requestId)).map(({ name }) => name);
    expect(steps).toEqual(expect.arrayContaining(['look among leaked passwords', 'hash password', 'insert users']));
    // The trace is ours: it is not told outside.
    expect(breachServer.requests.at(-1)?.headers).not.toHaveProperty('traceparent');
  });

  it('has the statements that are asked of the pool itself, by their names', async () => {
    const { tokens } = await signedIn(service);
    const requestId = newRequestId();
    await service.auth.refreshToken({ refreshToken: tokens.refreshToken }, { metadata: { 'x-request-id': requestId } });
    const span = await callSpan(requestId);
    expect(collector.childrenOf(span).map(({ name }) => name)).toContainEqual(expect.stringMatching(/rotate/));
  });

  it('has the statements of its unit of work, by what they do to which table', async () => {
    const users = await Promise.all(Array.from({ length: CALLS }, () => register(service)));
    const requestIds = users.map(newRequestId);
    const calls = await atOnce(CALLS, (index) => {
      const metadata = { 'x-request-id': required(requestIds[index]) };
      return service.users.deactivateUser({ userId: required(users[index]).id }, { metadata });
    });
    expect(calls).toEqual(calls.map(() => expect.objectContaining({ status: 'fulfilled' })));
    for (const requestId of requestIds) {
      const steps = collector.childrenOf(await callSpan(requestId)).map(({ name }) => name);
      expect(steps.filter((name) => ['begin', 'update users', 'commit'].includes(name))).toEqual(['begin', 'update users', 'commit']);
    }
  });

  it('has its own statements below it and nobody else’s, also where calls wait for the connections of others', async () => {
    const sessions = await Promise.all(Array.from({ length: CALLS }, () => signedIn(service)));
    const requestIds = sessions.map(newRequestId);
    await atOnce(CALLS, (index) => {
      const { refreshToken } = required(sessions[index]).tokens;
      return service.auth.refreshToken({ refreshToken }, { metadata: { 'x-request-id': required(requestIds[index]) } });
    });
    for (const requestId of requestIds) {
      const steps = collector.childrenOf(await callSpan(requestId)).map(({ name }) => name);
      expect(steps.filter((name) => name === 'sessions.rotate')).toHaveLength(1);
    }
    const logins = sessions.map(newRequestId);
    await atOnce(CALLS, (index) => {
      const { email } = required(sessions[index]).user;
      return service.auth.login({ email, password: PASSWORD }, { metadata: { 'x-request-id': required(logins[index]) } });
    });
    for (const requestId of logins) {
      const steps = collector.childrenOf(await callSpan(requestId)).map(({ name }) => name);
      expect(steps.filter((name) => name === 'verify password')).toHaveLength(1);
      expect(steps.filter((name) => name === 'insert sessions')).toHaveLength(1);
    }
  });

  it('of a failure that is the caller’s is no error, but says why', async () => {
    const requestId = newRequestId();
    const wrong = service.auth.login({ email: newEmail(), password: 'wrong' }, { metadata: { 'x-request-id': requestId } });
    await expectStatus(wrong, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await callSpan(requestId)).toMatchObject({
      status: 0,
      attributes: { 'rpc.grpc.status_code': 16, 'error.type': 'INVALID_CREDENTIALS' },
    });
  });

  it('of a failure that is the server’s is an error, and so is the statement that failed; both without a message', async () => {
    const { email } = await register(service);
    await service.database.pool.query('alter table sessions rename to sessions_gone');
    const requestId = newRequestId();
    try {
      await expectStatus(
        service.auth.login({ email, password: PASSWORD }, { metadata: { 'x-request-id': requestId } }),
        'INTERNAL',
        'INTERNAL_ERROR',
      );
    } finally {
      await service.database.pool.query('alter table sessions_gone rename to sessions');
    }
    const span = await callSpan(requestId);
    expect(span).toMatchObject({
      status: ERROR,
      statusMessage: '',
      attributes: { 'rpc.grpc.status_code': 13, 'error.type': 'INTERNAL_ERROR' },
    });
    const failed = collector.childrenOf(span).filter(({ status }) => status === ERROR);
    expect(failed).toMatchObject([{ statusMessage: '', attributes: { 'error.type': '42P01' } }]);
  });

  it('of a stream lasts as long as that', async () => {
    const requestId = newRequestId();
    await importOne(service, newRow(), { metadata: { 'x-request-id': requestId } });
    const span = await callSpan(requestId);
    expect(span).toMatchObject({ name: 'identity.v1.UserService/ImportUsers', kind: SERVER, attributes: { 'rpc.grpc.status_code': 0 } });
    expect(collector.childrenOf(span).map(({ name }) => name)).toContain('commit');
  });

  it('of a stream that fails says why', async () => {
    const requestId = newRequestId();
    const refused = importOne(service, newRow(), { metadata: { 'x-request-id': requestId }, token: 'nobody' });
    await expectStatus(refused, 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    expect(await callSpan(requestId)).toMatchObject({
      attributes: { 'rpc.grpc.status_code': 16, 'error.type': 'CALLER_UNAUTHENTICATED' },
    });
  });

  it('has the same request id as the failure that the caller sees, also where the caller gave none', async () => {
    const error = await service.users.getUser({ userId: 'x' }).catch((thrown: unknown) => thrown);
    const requestId = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(detailsOf(error))?.[0];
    expect((await callSpan(required(requestId))).name).toBe('identity.v1.UserService/GetUser');
  });
});

function detailsOf(error: unknown): string {
  const { metadata } = error as { metadata: { get(name: string): Buffer[] } };
  return String(metadata.get('grpc-status-details-bin')[0]);
}

describe('the trace of the caller', () => {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');

  const callWith = async (metadata: Record<string, string>) => {
    const requestId = newRequestId();
    await service.auth.getCaller({}, { metadata: { ...metadata, 'x-request-id': requestId } });
    return callSpan(requestId);
  };

  it('goes on', async () => {
    const span = await callWith({ traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'vendor=1,other=2' });
    expect(span).toMatchObject({ traceId, parentSpanId: spanId, traceState: 'vendor=1,other=2' });
  });

  it('that a later version of the standard names goes on', async () => {
    expect(await callWith({ traceparent: `01-${traceId}-${spanId}-01-more` })).toMatchObject({ traceId, parentSpanId: spanId });
  });

  it.each([
    ['of another form', 'hello'],
    ['with capital letters', `00-${traceId.toUpperCase().replace(/\d/g, 'A')}-${spanId}-01`],
    ['of no trace', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['of no span', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['of the forbidden version', `ff-${traceId}-${spanId}-01`],
    ['that says more than its version can', `00-${traceId}-${spanId}-01-more`],
    ['that is cut off', `00-${traceId}-${spanId}`],
  ])('%s is no trace: a new one begins', async (_what, traceparent) => {
    const span = await callWith({ traceparent, tracestate: 'vendor=1' });
    expect(span).toMatchObject({ parentSpanId: '', traceState: '' });
    expect(span.traceId).not.toBe(traceId);
  });

  it('that the caller does not record is not recorded here', async () => {
    const unsampled = newRequestId();
    await service.auth.getCaller({}, { metadata: { traceparent: `00-${traceId}-${spanId}-00`, 'x-request-id': unsampled } });
    await callWith({});
    expect(collector.spans.filter(({ attributes }) => attributes['identity.request_id'] === unsampled)).toEqual([]);
  });
});

describe('a mail', () => {
  it('is a trace of its own, with the sending in it', async () => {
    await register(service);
    await untilMailsAreSent(service);
    const delivery = await collector.span(named('deliver mail'));
    expect(delivery).toMatchObject({ parentSpanId: '', attributes: { 'identity.mail.template': expect.any(String) } });
    expect(collector.childrenOf(delivery).map(({ name }) => name)).toContain('send mail');
    // Mails that were sent at the same moment are deleted together, by the first of them.
    const { parentSpanId } = await collector.span(named('delete mails'));
    expect(await collector.span(({ spanId }) => spanId === parentSpanId)).toMatchObject({ name: 'deliver mail' });
  });
});

describe('what leaves the house', () => {
  it('is nothing that a caller has sent, and no secret of ours', async () => {
    const password = 'a most remarkable password';
    const email = `somebody-${newEmail()}`;
    const user = await register(service, { email, password, profile: { firstName: 'Adalbertine', lastName: 'Lovelacy' } });
    const tokens = await logIn(service, email, password);
    await service.auth.introspectToken({ accessToken: tokens.accessToken });
    const { tokens: next } = await service.auth.refreshToken({ refreshToken: tokens.refreshToken });
    await service.users.lookupUser({ email });
    await service.users.listUsers({ filter: { query: 'adalbertine' } });
    await service.auth.changePassword({ userId: user.id, currentPassword: password, newPassword: `${password} too` });
    await service.auth.requestPasswordReset({ email });
    await expectStatus(register(service, { email }), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
    await untilMailsAreSent(service);
    const last = newRequestId();
    await service.auth.getCaller({}, { metadata: { 'x-request-id': last } });
    await callSpan(last);
    const sent = Buffer.concat(collector.bodies).toString('latin1').toLowerCase();
    expect(sent).toContain('changepassword');
    const secrets = [password, email, 'adalbertine', 'lovelacy', tokens.accessToken, tokens.refreshToken, required(next).accessToken];
    const parts = Object.values(partsOf(required(next).refreshToken));
    for (const secret of [...secrets, ...parts, service.adminKey, '@example.com', '$2b$', user.id]) {
      expect(sent).not.toContain(secret.toLowerCase());
    }
  });
});
