import { parseArgs } from 'node:util';
import { createServiceAccountKey } from '../../access/first-key.ts';
import { createServiceAccountInput } from '../../access/service-accounts/create-service-account.ts';
import { requireCurrentSchema } from '../../database/migrations.ts';
import { withDatabase } from '../command.ts';

export const CREATE_SERVICE_ACCOUNT_USAGE = `  npm run admin -- create-service-account NAME --role ROLE [--role ROLE ...]
      makes a service account, or gives the one of that name the roles that it lacks, and prints a new API key of it, once`;

export async function createServiceAccountCommand(args: string[]): Promise<boolean> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { role: { type: 'string', multiple: true } } });
  const [name = '', ...superfluous] = positionals;
  const input = createServiceAccountInput.safeParse({ name, description: '', roles: values.role ?? [] });
  if (superfluous.length > 0 || !input.success) return false;
  const { roles } = input.data;
  await withDatabase(
    async (orm) => {
      await requireCurrentSchema(orm);
      process.stdout.write(`${await createServiceAccountKey(orm.em, name, roles)}\n`);
    },
    { besideService: true },
  );
  return true;
}
