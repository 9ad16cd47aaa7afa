import { createServer } from 'node:http';
import bcrypt from 'bcrypt';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import pg from 'pg';

/** What the bench tells this process. */
interface Settings {
  readonly databaseUrl: string;
  readonly poolMax: number;
  readonly secret: string;
  readonly bcryptCost: number;
  /** Answer session validations from a signed cookie for five minutes, without a look at the database: what was revoked stays valid. */
  readonly cookieCache: boolean;
}

const { databaseUrl, poolMax, secret, bcryptCost, cookieCache }: Settings = JSON.parse(process.env.PEER_SETTINGS ?? '{}');

const options = {
  baseURL: 'http://127.0.0.1',
  secret,
  database: new pg.Pool({ connectionString: databaseUrl, max: poolMax }),
  emailAndPassword: {
    enabled: true,
    // The same package and cost as the service, in the form that its documentation shows.
    password: {
      hash: (password: string) => bcrypt.hash(password, bcryptCost),
      verify: ({ hash, password }: { hash: string; password: string }) => bcrypt.compare(password, hash),
    },
  },
  session: { cookieCache: { enabled: cookieCache, maxAge: 300 } },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  advanced: { useSecureCookies: false },
  logger: { level: 'error' },
} as const;

const { runMigrations } = await getMigrations(options);
await runMigrations();
const server = createServer(toNodeHandler(betterAuth(options)));
// Callers are idle between two bursts; by itself Node would close their connections.
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`better-auth listening on 127.0.0.1:${typeof address === 'object' ? address?.port : 0}\n`);
});
process.on('SIGTERM', () => process.exit(0));
