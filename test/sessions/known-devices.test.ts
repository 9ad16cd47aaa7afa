import { describe, expect, it } from 'vitest';
import type { Client } from '../../src/gen/identity/v1/client.ts';
import { auditEvents } from '../support/audit.ts';
import { atOnce, newEmail, PASSWORD, register, registerVerified, required } from '../support/builders.ts';
import { useMailbox } from '../support/mailbox.ts';
import { countMails, requestCode, SUBJECTS, subjectsTo } from '../support/mails.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const WINDOWS = (chrome: string) =>
  `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${chrome} Safari/537.36`;
const MAC = (safari: string, system: string) =>
  `Mozilla/5.0 (Macintosh; Intel Mac OS X ${system}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${safari} Safari/605.1.15`;

const PC = { userAgent: WINDOWS('120.0.0.0'), ipAddress: '203.0.113.9' };
const LAPTOP = { userAgent: MAC('17.1', '10_15_7'), ipAddress: '198.51.100.7' };

const logIn = (email: string, client: Partial<Client>) => service.auth.login({ email, password: PASSWORD, client });

/** How many mails a new user gets who signs in from one device after the other. */
async function mailsAfter(...devices: Partial<Client>[]): Promise<number> {
  const { email } = await register(service);
  for (const device of devices) await logIn(email, device);
  return countMails(service, mailbox, email, SUBJECTS.newDevice);
}

async function withCode(email: string, client: Partial<Client>): Promise<void> {
  await service.auth.loginWithCode({ email, code: await requestCode(service, mailbox, email), client });
}

describe('a sign-in on another device', () => {
  it('is told by mail, with what is known of it', async () => {
    // What a device is called is told only to whom the address belongs.
    const { id, email } = await registerVerified(service);
    await logIn(email, PC);
    await logIn(email, { ...LAPTOP, deviceName: 'Laptop of A & B' });
    const mail = await mailbox.mail(email, SUBJECTS.newDevice);
    expect(mail.text).toContain('Laptop of A & B');
    expect(mail.text).toContain(LAPTOP.ipAddress);
    expect(await auditEvents(service, 'user.new_device', id)).toMatchObject([{ ...LAPTOP, deviceName: 'Laptop of A & B' }]);
  });

  it('is told as well when it was with a code', async () => {
    // Not the first proof of the mailbox, which forgets the devices of before.
    const { email } = await registerVerified(service);
    await logIn(email, PC);
    await service.auth.loginWithCode({ email, code: await requestCode(service, mailbox, email), client: LAPTOP });
    await mailbox.mail(email, SUBJECTS.newDevice);
    await service.auth.loginWithCode({ email, code: await requestCode(service, mailbox, email, 2), client: PC });
    expect(await countMails(service, mailbox, email, SUBJECTS.newDevice)).toBe(1);
  });

  it('is told once for each of them', async () => {
    expect(await mailsAfter(PC, LAPTOP, { deviceName: 'Phone' }, LAPTOP, PC, { deviceName: 'Phone' })).toBe(2);
  });

  it('is told once, too, when the sign-ins come at the same time', async () => {
    const { email } = await register(service);
    await logIn(email, PC);
    await atOnce(4, () => logIn(email, LAPTOP));
    expect(await countMails(service, mailbox, email, SUBJECTS.newDevice)).toBe(1);
  });

  it('is none on the first device, nor on one that is known', async () => {
    expect(await mailsAfter(PC, PC, PC)).toBe(0);
  });

  it('is none after the browser or the system was updated', async () => {
    const updated = { userAgent: WINDOWS('131.0.6778.86') };
    expect(await mailsAfter(PC, updated, LAPTOP, { userAgent: MAC('18.0.1', '15_1') })).toBe(1);
  });

  it('is none from another address', async () => {
    expect(await mailsAfter(PC, { ...PC, ipAddress: '192.0.2.200' })).toBe(0);
  });

  it('cannot be told where nothing is known of the device', async () => {
    expect(await mailsAfter({}, PC, {}, { ipAddress: '192.0.2.1' })).toBe(0);
  });

  it('is told although the sessions on the known ones have ended', async () => {
    const { id, email } = await register(service);
    await logIn(email, PC);
    await service.sessions.revokeAllSessions({ userId: id });
    await logIn(email, PC);
    expect(await subjectsTo(service, mailbox, email)).not.toContainEqual(expect.stringMatching(SUBJECTS.newDevice));
    await logIn(email, LAPTOP);
    expect(await countMails(service, mailbox, email, SUBJECTS.newDevice)).toBe(1);
  });

  it('is one for each user apart', async () => {
    const [one, two] = [
      await register(service),
      required((await service.users.createUser({ email: newEmail(), password: PASSWORD })).user),
    ];
    await logIn(one.email, PC);
    await logIn(two.email, LAPTOP);
    await logIn(one.email, LAPTOP);
    expect(await countMails(service, mailbox, one.email, SUBJECTS.newDevice)).toBe(1);
    expect(mailbox.to(two.email)).toEqual([]);
  });

  it('does not come of a wrong password', async () => {
    const { id, email } = await register(service);
    await logIn(email, PC);
    await service.auth.login({ email, password: 'wrong', client: LAPTOP }).catch(() => undefined);
    expect(await rows(service, 'select 1 from known_devices where user_id = $1', [id])).toHaveLength(1);
    expect(await countMails(service, mailbox, email, SUBJECTS.newDevice)).toBe(0);
  });

  it('is none where the device was used before; that it was used again is noted to the day', async () => {
    const { id, email } = await register(service);
    const seen = async () => (await rows(service, 'select xmin, last_seen_at from known_devices where user_id = $1', [id]))[0];
    await logIn(email, PC);
    const first = await seen();
    await logIn(email, PC);
    expect(await seen()).toEqual(first);
    const yesterday = `update known_devices set last_seen_at = last_seen_at - interval '25 hours' where user_id = $1 returning last_seen_at`;
    const [before] = await rows<{ last_seen_at: Date }>(service, yesterday, [id]);
    for (const signIn of [() => logIn(email, PC), async () => withCode(email, PC)]) {
      await rows(service, `update known_devices set last_seen_at = $2 where user_id = $1`, [id, before?.last_seen_at]);
      await signIn();
      expect((await seen())?.last_seen_at).not.toEqual(before?.last_seen_at);
    }
    expect(await countMails(service, mailbox, email, SUBJECTS.newDevice)).toBe(0);
  });

  it('is one of at most a hundred: the one that was unused for longest is forgotten', async () => {
    const { id, email } = await register(service);
    await rows(
      service,
      `insert into known_devices (user_id, device_hash, first_seen_at, last_seen_at)
       select $1, sha256(n::text::bytea), now(), now() - n * interval '1 hour' from generate_series(1, 150) n`,
      [id],
    );
    await logIn(email, PC);
    const kept = await rows<{ hour: boolean }>(
      service,
      `select device_hash in (select sha256(n::text::bytea) from generate_series(1, 99) n) as hour from known_devices where user_id = $1`,
      [id],
    );
    expect(kept).toHaveLength(100);
    expect(kept.filter(({ hour }) => hour)).toHaveLength(99);
  });

  it('is remembered by a hash: neither name nor agent are stored for it', async () => {
    const { id, email } = await register(service);
    await logIn(email, { ...PC, deviceName: 'A very special name' });
    const [row] = await rows<{ text: string }>(service, 'select known::text as text from known_devices as known where user_id = $1', [id]);
    expect(row?.text).toMatch(/\\\\x[0-9a-f]{64}/);
    for (const trace of ['special', 'Mozilla', Buffer.from('special').toString('hex')]) expect(row?.text).not.toContain(trace);
  });
});
