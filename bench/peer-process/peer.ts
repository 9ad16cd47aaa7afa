import { fileURLToPath } from 'node:url';
import bcrypt from 'bcrypt';
import { type Bench, POOL_MAX } from '../bench.ts';
import { withClient } from '../database/postgres.ts';
import { PASSWORD } from '../database/seed.ts';
import { type ServerProcess, startServer } from '../servers/server-process.ts';

const PROGRAM = fileURLToPath(new URL('../peer/server.ts', import.meta.url));
/** As better-auth is told to be reached; it checks where requests come from. */
const ORIGIN = 'http://127.0.0.1';
const SECRET = 'a secret that only the bench uses, at least 32 characters';

export interface PeerSettings {
  readonly bcryptCost: number;
  readonly cookieCache: boolean;
}

/** better-auth in production mode, with the pool of the service. It makes its tables before it listens. */
export async function startPeer(bench: Bench, databaseUrl: string, settings: PeerSettings): Promise<ServerProcess> {
  const env = { PEER_SETTINGS: JSON.stringify({ ...settings, databaseUrl, secret: SECRET, poolMax: POOL_MAX }) };
  return bench.owned(await startServer({ name: 'better-auth', command: [process.execPath, PROGRAM], env, cwd: bench.postgres.folder }));
}

/** As many users as the service has that it is compared with. */
export async function seedPeer(url: string, users: number, cost: number): Promise<void> {
  const hash = await bcrypt.hash(PASSWORD, cost);
  await withClient(url, async (client) => {
    await client.query(
      `insert into "user" (id, name, email, "emailVerified", "createdAt", "updatedAt")
       select md5('user-' || n), 'User ' || n, 'user-' || n || '@example.com', n % 2 = 0, now(), now() from generate_series(1, $1::int) n`,
      [users],
    );
    await client.query(
      `insert into account (id, "accountId", "providerId", "userId", password, "createdAt", "updatedAt")
       select md5('account-' || n), md5('user-' || n), 'credential', md5('user-' || n), $2, now(), now() from generate_series(1, $1::int) n`,
      [users, hash],
    );
    await client.query('vacuum analyze');
  });
}

/** Signs users in; returns the cookies of each. */
export function cookiesOf({ port }: ServerProcess, emails: readonly string[], password: string): Promise<string[]> {
  const signIn = async (email: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/auth/sign-in/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: ORIGIN },
      body: JSON.stringify({ email, password }),
    });
    if (!response.ok) throw new Error(`better-auth answered ${response.status} to a sign-in: ${await response.text()}`);
    return response.headers
      .getSetCookie()
      .map((cookie) => cookie.split(';', 1)[0])
      .join('; ');
  };
  return Promise.all(emails.map(signIn));
}

export const getSessionRequests = (cookies: readonly string[]) =>
  cookies.map((cookie) => Buffer.from(`GET /api/auth/get-session HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: ${cookie}\r\n\r\n`));

export const signInRequests = (emails: readonly string[], password: string) =>
  emails.map((email) => post('/api/auth/sign-in/email', { email, password }));

/** Of people who are not there yet, as many as a run could ask for. */
export const signUpRequests = (prefix: string, password: string) =>
  Array.from({ length: 5000 }, (_, n) => post('/api/auth/sign-up/email', { email: `${prefix}-${n}@example.com`, password, name: 'New' }));

function post(path: string, body: object): Buffer {
  const json = JSON.stringify(body);
  const head = [
    `POST ${path} HTTP/1.1`,
    'host: 127.0.0.1',
    `origin: ${ORIGIN}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(json)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${json}`);
}
