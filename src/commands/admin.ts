import { CREATE_SERVICE_ACCOUNT_USAGE, createServiceAccountCommand } from './admin/create-service-account.ts';
import { EXPORT_USAGE, exportCommand } from './admin/export.ts';
import { IMPORT_USAGE, importCommand } from './admin/import.ts';
import { runCommand } from './command.ts';

const USAGE = ['Usage:', CREATE_SERVICE_ACCOUNT_USAGE, IMPORT_USAGE, EXPORT_USAGE].join('\n');

/** Each takes its arguments; false where they are not such as it takes. */
const COMMANDS: Readonly<Record<string, (args: string[]) => Promise<boolean>>> = {
  'create-service-account': createServiceAccountCommand,
  export: exportCommand,
  import: importCommand,
};

/** Runs a command that an operator gives on the machine itself, with the settings of the service and without a key. */
async function run([name = '', ...args]: string[]): Promise<void> {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!(await command?.(args))) throw new Error(USAGE);
}

runCommand(run);
