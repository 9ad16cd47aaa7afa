import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { smtpTransport } from '../../src/mail/mail-transport.ts';
import { atOnce, newEmail, register } from '../support/builders.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { Mailbox, untilNoMailIsPending } from '../support/mailbox.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService } from '../support/service.ts';

/** Takes connections, and does with them what a test wants; by itself, nothing. */
class HangingServer {
  readonly #server = createServer((socket) => {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    this.onConnection(socket);
    this.#events.emit('connection');
  });
  readonly #sockets = new Set<Socket>();
  readonly #events = new EventEmitter();
  onConnection: (socket: Socket) => void = () => undefined;
  url = '';

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `smtp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async untilConnected(): Promise<void> {
    if (this.#sockets.size === 0) await once(this.#events, 'connection', { signal: AbortSignal.timeout(10_000) });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

let database: TestDatabase;
let hanging: HangingServer;
const services: TestService[] = [];
const mailboxes: Mailbox[] = [];

beforeEach(async () => {
  database = await createDatabase();
  hanging = new HangingServer();
  await hanging.listen();
});

afterEach(async () => {
  await hanging.close();
  await Promise.all(services.splice(0).map((service) => service.stop()));
  // Only now: it waits for its clients.
  await Promise.all(mailboxes.splice(0).map((mailbox) => mailbox.close()));
  await database.drop();
});

async function openMailbox(options?: ConstructorParameters<typeof Mailbox>[0]): Promise<{ mailbox: Mailbox; url: string }> {
  const mailbox = new Mailbox(options);
  mailboxes.push(mailbox);
  return { mailbox, url: `smtp://127.0.0.1:${await mailbox.listen()}` };
}

async function start(url: string): Promise<TestService> {
  const service = await startService({ SMTP_URL: url }, database);
  services.push(service);
  return service;
}

/** Milliseconds that stopping takes. */
async function timeToStop(service: TestService): Promise<number> {
  services.splice(services.indexOf(service), 1);
  const begin = performance.now();
  await service.stop();
  return performance.now() - begin;
}

/** Longer than what the service gives to calls in flight; in main.ts, it ends by force after 9.5 seconds. */
const SHUTDOWN_MS = 8000;

describe('a mail server that hangs', () => {
  it('delays no call', async () => {
    const service = await start(hanging.url);
    await register(service);
    await hanging.untilConnected();
    const durations = await atOnce(40, async () => {
      const begin = performance.now();
      await register(service);
      return performance.now() - begin;
    });
    // It would be ten seconds, were it to wait for the mail server.
    for (const duration of durations) expect(duration).toMatchObject({ status: 'fulfilled', value: expect.toSatisfy((ms) => ms < 3000) });
  });

  it('keeps no other replica from sending, but from sending the same mail before the lease on it ends', async () => {
    const slow = await start(hanging.url);
    const { email: held } = await register(slow);
    await hanging.untilConnected();
    const { mailbox, url } = await openMailbox();
    const quick = await start(url);
    const { email: other } = await register(quick);
    await mailbox.mail(other, /^Confirm/);
    quick.clock.advance(50);
    const { email: later } = await register(quick);
    await mailbox.mail(later, /^Confirm/);
    expect(mailbox.to(held)).toEqual([]);
    // The replica that hangs may as well be dead.
    quick.clock.advance(11);
    await mailbox.mail(held, /^Confirm/);
    await untilNoMailIsPending(database.pool);
    await timeToStop(slow);
    expect(mailbox.to(held)).toHaveLength(1);
  });

  it.each([
    ['before it greets', () => undefined],
    [
      'after it was given a mail',
      (socket: Socket) => {
        socket.write('220 hello\r\n');
        socket.on('data', (data) => {
          if (/^(EHLO|MAIL|RCPT)/.test(String(data))) socket.write('250 fine\r\n');
          if (String(data).startsWith('DATA')) socket.write('354 go on\r\n');
        });
      },
    ],
  ])('%s does not hold up the stop of the service for long, and its mails are sent later', async (_, onConnection) => {
    hanging.onConnection = onConnection;
    const service = await start(hanging.url);
    const users = await Promise.all(Array.from({ length: 12 }, () => register(service)));
    await hanging.untilConnected();
    const queued = async () => (await database.pool.query('select from mails')).rowCount;
    await expect.poll(queued).toBe(users.length);
    expect(await timeToStop(service)).toBeLessThan(SHUTDOWN_MS);
    expect(await queued()).toBe(users.length);

    const { mailbox, url } = await openMailbox();
    const next = await start(url);
    next.clock.advance(60);
    await untilNoMailIsPending(database.pool);
    expect(mailbox.mails).toHaveLength(users.length);
  });

  it('with a word now and then, within every timeout, is left when the time for one attempt is over', async () => {
    hanging.onConnection = (socket) => {
      socket.write('220 hello\r\n');
      socket.once('data', () => {
        const timer = setInterval(() => socket.write('250-and so on\r\n'), 50);
        socket.on('close', () => clearInterval(timer));
      });
    };
    const transport = await smtpTransport(hanging.url, 'identity@localhost', 500);
    const mail = { id: 'id', template: 'verify-email', to: newEmail(), subject: 'subject', text: 'text', html: '<p>html</p>' };
    await expect(transport.send(mail)).rejects.toMatchObject({ code: 'EABORT' });
    transport.close();
  });
});

describe('a service that is stopped', () => {
  it('finishes the mails under way, sends each once, and leaves the others in the queue', async () => {
    const waiting: (() => void)[] = [];
    let holds = true;
    const { mailbox, url }: { mailbox: Mailbox; url: string } = await openMailbox({
      onData: (stream, _session, done) =>
        mailbox.receive(stream, (error) => {
          if (holds) waiting.push(() => done(error));
          else done(error);
        }),
    });
    const service = await start(url);
    const users = await Promise.all(Array.from({ length: 12 }, () => register(service)));
    await expect.poll(() => waiting.length).toBeGreaterThan(0);
    const queued = () => rows<{ attempts: number }>(service, 'select attempts from mails order by attempts');
    await expect.poll(async () => (await queued()).length).toBe(users.length);
    const claimed = (await queued()).filter(({ attempts }) => attempts > 0).length;
    await expect.poll(() => waiting.length).toBe(claimed);
    const stopped = timeToStop(service);
    for (const answer of waiting.splice(0)) answer();
    expect(await stopped).toBeLessThan(SHUTDOWN_MS);
    expect(mailbox.mails).toHaveLength(claimed);
    expect((await database.pool.query('select attempts from mails')).rows).toEqual(Array(users.length - claimed).fill({ attempts: 0 }));

    holds = false;
    await start(url);
    await untilNoMailIsPending(database.pool);
    expect(mailbox.mails.map((mail) => [mail.to].flat()[0]?.text).sort()).toEqual(users.map(({ email }) => email).sort());
  });
});
