import { parseArgs } from 'node:util';
import { createServiceAccountKey } from './callers/first-key.ts';
import { runCommand, withDatabase } from './command.ts';
import { requireCurrentSchema } from './database/migrations.ts';
import { createServiceAccountInput } from './service-accounts/create-service-account.ts';

const USAGE = `Usage:
  npm run admin -- create-service-account NAME --role ROLE [--role ROLE ...]
      makes a service account, or gives the one of that name the roles that it lacks, and prints a new API key of it, once`;

/** What an operator does on the machine itself, before anybody has a key. */
async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { role: { type: 'string', multiple: true } } });
  const [command, name = '', ...superfluous] = positionals;
  const input = createServiceAccountInput.safeParse({ name, description: '', roles: values.role ?? [] });
  if (command !== 'create-service-account' || superfluous.length > 0 || !input.success) throw new Error(USAGE);
  await withDatabase(async (orm) => {
    await requireCurrentSchema(orm);
    process.stdout.write(`${await createServiceAccountKey(orm.em, name, input.data.roles)}\n`);
  });
}

runCommand(run);
