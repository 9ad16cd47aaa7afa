import { type FileHandle, open } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { systemCall } from '../../call/system-call.ts';
import { requireCurrentSchema } from '../../database/migrations.ts';
import { exportAllUsers } from '../../users/export-all-users.ts';
import { withDatabase } from '../command.ts';
import { showProgress } from './progress.ts';

export const EXPORT_USAGE = `  npm run admin -- export [FILE.ndjson]
      writes all users, with the hashes of their passwords, in the format that import takes; to stdout without a FILE`;

/** The hashes of all passwords are in it. */
const FOR_THE_OWNER_ALONE = 0o600;

export async function exportCommand(args: string[]): Promise<boolean> {
  const { positionals } = parseArgs({ args, allowPositionals: true });
  const [file, ...superfluous] = positionals;
  if (superfluous.length > 0) return false;
  await withDatabase(
    async (orm) => {
      await requireCurrentSchema(orm);
      const output = file === undefined ? undefined : await openForOwner(file);
      try {
        await exportTo(output, exportAllUsers(systemCall(orm.em)));
      } finally {
        await output?.close();
      }
    },
    { besideService: true },
  );
  return true;
}

async function exportTo(output: FileHandle | undefined, pages: ReturnType<typeof exportAllUsers>): Promise<void> {
  let written = 0;
  let progress: ReturnType<typeof showProgress> | undefined;
  try {
    for await (const { users, total } of pages) {
      progress ??= showProgress(total);
      const text = users.map((user) => `${JSON.stringify(user)}\n`).join('');
      await (output ? output.writeFile(text) : toStdout(text));
      written += users.length;
      progress.update(written, `${written} users`);
    }
  } finally {
    progress?.stop();
  }
  process.stderr.write(`${written} users exported\n`);
}

/** Also where the file is there already, with a mode of its own. */
async function openForOwner(file: string): Promise<FileHandle> {
  const handle = await open(file, 'w', FOR_THE_OWNER_ALONE);
  await handle.chmod(FOR_THE_OWNER_ALONE);
  return handle;
}

function toStdout(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
