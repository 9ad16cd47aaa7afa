import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { type ParsedMail, simpleParser } from 'mailparser';
import type { Pool } from 'pg';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, beforeAll, expect } from 'vitest';

/** A mail server that keeps what it is given. */
export class Mailbox {
  readonly #server: SMTPServer;
  readonly #arrived = new EventEmitter();
  readonly mails: ParsedMail[] = [];

  constructor(options: SMTPServerOptions = {}) {
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData: (stream, _session, done) => this.receive(stream, done),
      ...options,
    });
    this.#arrived.setMaxListeners(100);
  }

  /** Returns the port; 0 lets the system choose. */
  async listen(port = 0): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server.server, 'listening');
    return (this.#server.server.address() as AddressInfo).port;
  }

  /** Keeps a mail, then tells the sender so. */
  receive(stream: Readable, done: (error?: Error | null) => void): void {
    simpleParser(stream).then((mail) => {
      this.mails.push(mail);
      this.#arrived.emit('mail');
      done();
    }, done);
  }

  to(address: string): ParsedMail[] {
    return this.mails.filter((mail) => textOf(mail.to) === address);
  }

  /** The latest mail to an address whose subject matches, as soon as there are `count` of them. */
  async mail(address: string, subject: RegExp, count = 1): Promise<ParsedMail> {
    const signal = AbortSignal.timeout(10_000);
    for (;;) {
      const found = this.to(address).filter((mail) => subject.test(mail.subject ?? ''));
      const latest = found.at(-1);
      if (latest && found.length >= count) return latest;
      await once(this.#arrived, 'mail', { signal });
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function textOf(to: ParsedMail['to']): string {
  return Array.isArray(to) ? to.map(({ text }) => text).join(', ') : (to?.text ?? '');
}

/** Until every event has been looked at and no mail is left to be sent. */
export async function untilNoMailIsPending(pool: Pool): Promise<void> {
  const sql = `select (select count(*) from mails)::int as mails, (select count(*) from events
    where position > (select position from event_cursors where consumer = 'mail'))::int as events`;
  await expect.poll(async () => (await pool.query(sql)).rows[0]).toEqual({ mails: 0, events: 0 });
}

/** What stands behind "Token:" in a mail. */
export function tokenIn({ text = '' }: ParsedMail): string {
  const [, token] = /^Token: (\S+)$/m.exec(text) ?? [];
  if (token === undefined) throw new Error(`no token in ${text}`);
  return token;
}

export function codeIn({ text = '' }: ParsedMail): string {
  const [code] = /^\d{8}$/m.exec(text) ?? [];
  if (code === undefined) throw new Error(`no code in ${text}`);
  return code;
}

/** A mail server for all tests of a file. */
export function useMailbox(options?: SMTPServerOptions): Mailbox & { readonly url: () => string } {
  const mailbox = new Mailbox(options);
  let port = 0;
  beforeAll(async () => {
    port = await mailbox.listen();
  });
  afterAll(() => mailbox.close());
  return Object.assign(mailbox, { url: () => `smtp://127.0.0.1:${port}` });
}
