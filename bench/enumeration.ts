import { randomBytes, randomUUID, scryptSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { ENTITIES } from '../src/app/orm.ts';
import { hashPassword } from '../src/auth/passwords/password-scheme.ts';
import { migrateUp } from '../src/database/migrate.ts';
import { AuthServiceService } from '../src/gen/identity/v1/auth_service.ts';
import { backendKey, type Postgres, startPostgres, withClient } from './database/postgres.ts';
import { SECRET_KEY } from './requests.ts';
import { type ServerProcess, startServer } from './servers/server-process.ts';

/**
 * Tells how well the time of an answer to a wrong password tells accounts from addresses that nobody has: `node bench/enumeration.ts [SAMPLES]`.
 * It is run by hand, because it takes minutes and a machine that does nothing else.
 *
 * The figure is the area under the ROC curve (AUC): how often, of one account and one address, the account takes longer. 0.5 is a coin.
 */
const SAMPLES = Number(process.argv[2] ?? 200);

const SERVICE = fileURLToPath(new URL('../bin/identity', import.meta.url));

const base64 = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '');
const bcryptOf = (cost: number) => `$2b$${cost}$${'abcdefghijklmnopqrstuu'}${'x'.repeat(30)}e`;

/** By their names, the hashes that the accounts of a table have, in turn. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  'ours, of today (bcrypt 12)': [await hashPassword(randomUUID(), { scheme: 'bcrypt', bcryptCost: 12, pepper: '' })],
  'ours, of cost 10': [await hashPassword(randomUUID(), { scheme: 'bcrypt', bcryptCost: 10, pepper: '' })],
  'bcrypt 10': [bcryptOf(10)],
  'PBKDF2, 600,000': [`$pbkdf2-sha256$i=600000$${base64(16)}$${base64(32)}`],
  scrypt: [`$scrypt$ln=14,r=8,p=1$${base64(16)}$${scryptSync('x', 'x', 32).toString('base64').replace(/=+$/, '')}`],
  argon2id: [`$argon2id$v=19$m=19456,t=2,p=1$${base64(16)}$${base64(32)}`],
  Firebase: [`$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=${base64(64)}$${base64(10)}$${base64(64)}`],
  'mixed: bcrypt 12 and 10, PBKDF2, scrypt': [
    `bcrypt-hmac-sha384:${bcryptOf(12)}`,
    bcryptOf(10),
    `$pbkdf2-sha256$i=600000$${base64(16)}$${base64(32)}`,
    `$scrypt$ln=14,r=8,p=1$${base64(16)}$${base64(32)}`,
  ],
};

const postgres = await startPostgres(() => undefined);
try {
  for (const [index, [name, hashes]] of Object.entries(TABLES).entries()) {
    const { auc, accounts, strangers } = await measure(postgres, `table_${index}`, hashes);
    process.stdout.write(`${name.padEnd(42)} AUC ${auc.toFixed(2)}   medians ${accounts.toFixed(0)} and ${strangers.toFixed(0)} ms\n`);
  }
} finally {
  await postgres.stop();
}

async function measure(postgres: Postgres, database: string, hashes: readonly string[]) {
  const url = await postgres.empty(database);
  await migrateUp(url, ENTITIES);
  const emails = await addAccounts(url, hashes);
  const env = { DATABASE_URL: url, JWT_SECRET_KEY: SECRET_KEY, GRPC_PORT: '0' };
  const server = await startServer({ name: 'identity', command: ['sh', SERVICE], env, cwd: postgres.folder });
  try {
    return await compare(server, emails, await backendKey(url));
  } finally {
    await server.stop();
  }
}

async function addAccounts(url: string, hashes: readonly string[]): Promise<string[]> {
  const emails = Array.from({ length: Math.max(SAMPLES, 1000) }, () => `${randomUUID()}@example.com`);
  await withClient(url, async (client) => {
    await client.query(
      `with added as (
         insert into users (email, password_hash) select email, ($2::text[])[1 + (n - 1) % $3]
         from unnest($1::text[]) with ordinality as given (email, n) returning id
       ) insert into profiles (user_id, first_name, full_name) select id, '', '' from added`,
      [emails, hashes, hashes.length],
    );
    await client.query('vacuum analyze');
  });
  return emails;
}

/** Guesses at accounts and at addresses that nobody has, one after the other and in no order. */
async function compare(server: ServerProcess, emails: readonly string[], key: string) {
  const guess = guesser(server, key);
  for (let count = 0; count < 10; count++) await guess(`${randomUUID()}@example.com`);
  const times: Record<'account' | 'stranger', number[]> = { account: [], stranger: [] };
  for (const email of emails.slice(0, SAMPLES)) {
    const pair = [['account', email] as const, ['stranger', `${randomUUID()}@example.com`] as const];
    for (const [kind, address] of Math.random() < 0.5 ? pair : pair.reverse()) times[kind].push(await guess(address));
  }
  return { auc: aucOf(times.account, times.stranger), accounts: median(times.account), strangers: median(times.stranger) };
}

/** Resolves with the milliseconds that a wrong password takes. */
function guesser({ port }: ServerProcess, key: string): (email: string) => Promise<number> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  const { path, requestSerialize, responseDeserialize } = AuthServiceService.login;
  return (email) => {
    const request = { email, password: 'not the password', username: undefined, client: undefined };
    const begun = performance.now();
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (error: Error | null) => {
        if (error?.message.includes('credentials are not valid')) resolve(performance.now() - begun);
        else reject(error ?? new Error('the password was right'));
      });
    });
  };
}

/** How often one of the first takes longer than one of the second. */
function aucOf(first: readonly number[], second: readonly number[]): number {
  const longer = first.flatMap((one) => second.map((other) => Math.sign(one - other) / 2 + 0.5));
  return longer.reduce((sum, each) => sum + each, 0) / longer.length;
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1] as number;
}
