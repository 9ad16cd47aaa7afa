import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BreachCheck } from '../../../src/auth/passwords/breach-check.ts';
import type { Log } from '../../../src/observability/log.ts';
import { BreachServer, line, split } from '../../support/breach-server.ts';
import { logIn, newEmail, PASSWORD, register, required } from '../../support/builders.ts';
import { expectInvalid, failureOf } from '../../support/expect-status.ts';
import { startService, type TestService } from '../../support/service.ts';

const LEAKED = 'a password that has leaked';
const DESCRIPTION = 'has leaked elsewhere';

const server = new BreachServer();
const served = (status: number, text: string) => (response: ServerResponse) => response.writeHead(status).end(text);

let url: string;
let service: TestService;

beforeAll(async () => {
  url = await server.start();
  service = await startService({ BREACH_CHECK_URL: url, METRICS_PORT: '0' });
});

afterAll(async () => {
  await service.stop();
  server.stop();
});

beforeEach(() => {
  server.requests.length = 0;
  server.answer = served(200, [line('another one', 7), line(LEAKED, 42), line('padding', 0)].join('\r\n'));
});

async function failures(): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${service.app.metricsPort}/metrics`);
  return Number(required(/^identity_breach_check_failures_total (\d+)$/m.exec(await response.text()))[1]);
}

const registering = (password: string) => service.auth.register({ email: newEmail(), password });

describe('a password that has leaked', () => {
  it('is refused wherever a password is set', async () => {
    const { id } = await register(service);
    expect((await expectInvalid(registering(LEAKED), ['password'])).descriptions).toEqual([DESCRIPTION]);
    const creating = service.users.createUser({ email: newEmail(), password: LEAKED });
    expect((await expectInvalid(creating, ['password'])).descriptions).toEqual([DESCRIPTION]);
    const change = service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: LEAKED });
    expect((await expectInvalid(change, ['new_password'])).descriptions).toEqual([DESCRIPTION]);
    expect((await service.auth.checkPassword({ password: LEAKED })).reasons.map(({ description }) => description)).toEqual([DESCRIPTION]);
    await registering('a password that has not leaked');
  });

  it('is told together with the other rules that it breaks', async () => {
    server.answer = served(200, line('shadow', 3));
    const { descriptions } = await expectInvalid(registering('shadow'), ['password', 'password', 'password']);
    expect(descriptions).toEqual(['must have at least 8 characters', 'is among the most common passwords', DESCRIPTION]);
  });

  it('is known in lower case, too, and where lines end with a line feed', async () => {
    server.answer = served(200, `${line('another one', 7)}\n${line(LEAKED, 1).toLowerCase()}\n`);
    await expectInvalid(registering(LEAKED), ['password']);
  });

  it('is known by its bytes in UTF-8', async () => {
    server.answer = served(200, line('viele grüße 🔑', 1));
    await expectInvalid(registering('viele grüße 🔑'), ['password']);
  });

  it('may still be used to sign in', async () => {
    const { email } = await register(service, { password: 'not leaked so far' });
    server.requests.length = 0;
    server.answer = served(200, line('not leaked so far', 1));
    await logIn(service, email, 'not leaked so far');
    expect(server.requests).toEqual([]);
  });
});

describe('the server that knows leaked passwords', () => {
  it('learns five digits of a hash, and that the length of its answer is to be hidden', async () => {
    await registering(PASSWORD);
    const [request, ...more] = server.requests;
    expect(more).toEqual([]);
    expect(request?.method).toBe('GET');
    expect(request?.url).toBe(`/range/${split(PASSWORD).prefix}`);
    expect(request?.headers['add-padding']).toBe('true');
    const { suffix } = split(PASSWORD);
    expect(JSON.stringify(request?.rawHeaders)).not.toMatch(new RegExp(`${suffix}|correct|horse`, 'i'));
  });

  it('is not asked about a password of more than 1,024 bytes, nor beside other violated fields', async () => {
    await expectInvalid(registering('a'.repeat(1025)), ['password']);
    await expectInvalid(service.auth.register({ email: 'nobody', password: LEAKED }), ['email']);
    expect(server.requests).toEqual([]);
  });

  it('may pad its answer', async () => {
    server.answer = served(200, line(LEAKED, 0));
    const before = await failures();
    await registering(LEAKED);
    expect(await failures()).toBe(before);
  });

  it.each([
    ['answers with an error', served(500, line(LEAKED, 1))],
    ['knows no such path', served(404, '')],
    ['answers with something else', served(200, '<html>Welcome to the hotel</html>')],
    ['answers with nothing', served(200, '')],
    ['answers with one line that is something else', served(200, `${line(LEAKED, 1)}\r\nand so on`)],
    ['sends elsewhere', (response: ServerResponse) => response.writeHead(302, { location: `${url}/elsewhere` }).end()],
    ['hangs up', (response: ServerResponse) => response.destroy()],
    [
      'hangs up in the middle',
      (response: ServerResponse) => response.writeHead(200, { 'content-length': 1000 }).write('0', () => response.destroy()),
    ],
  ] as const)('is done without, and that is counted, where it %s', async (_, answer) => {
    server.answer = answer;
    const before = await failures();
    await registering(LEAKED);
    expect(await failures()).toBe(before + 1);
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['does not answer', () => undefined],
    ['does not come to an end', (response: ServerResponse) => void response.writeHead(200).write(line('padding', 0))],
  ])('is done without after a second where it %s', async (_, answer) => {
    server.answer = answer;
    const before = await failures();
    const begin = performance.now();
    await registering(LEAKED);
    expect(performance.now() - begin).toBeGreaterThan(950);
    expect(performance.now() - begin).toBeLessThan(3000);
    expect(await failures()).toBe(before + 1);
  });

  it('is left alone as soon as nobody waits for the call any more', async () => {
    const { promise: asked, resolve } = Promise.withResolvers<ServerResponse>();
    server.answer = resolve;
    const before = await failures();
    const begin = performance.now();
    const failure = failureOf(service.auth.checkPassword({ password: LEAKED }, { timeout: 300 }));
    await once(await asked, 'close');
    expect(await failure).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(performance.now() - begin).toBeLessThan(950);
    expect(await failures()).toBe(before);
  });
});

describe('the log', () => {
  it('warns once a minute, and holds neither password nor hash', async () => {
    server.answer = served(500, '');
    const lines: string[] = [];
    const log: Log = {
      failedCall: () => undefined,
      info: () => undefined,
      warn: (message, fields) => void lines.push(JSON.stringify([message, fields])),
    };
    let counted = 0;
    const breachCheck = new BreachCheck(`${url}/`, { log, onFailure: () => counted++ });
    for (let asked = 0; asked < 5; asked++) expect(await breachCheck.hasLeaked(LEAKED, new AbortController().signal)).toBe(false);
    expect(counted).toBe(5);
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toMatch(new RegExp(`${LEAKED}|${split(LEAKED).prefix}|${split(LEAKED).suffix}`, 'i'));
  });
});
