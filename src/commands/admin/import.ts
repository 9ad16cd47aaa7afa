import { createReadStream, type ReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { importRoles } from '../../access/roles/import-roles.ts';
import { problemOfHash } from '../../auth/passwords/password-scheme.ts';
import { IdentityError } from '../../call/errors.ts';
import { systemCall } from '../../call/system-call.ts';
import { requireCurrentSchema } from '../../database/migrations.ts';
import type { Orm } from '../../database/orm.ts';
import { type GivenRow, importUsers } from '../../users/import-users.ts';
import { withDatabase } from '../command.ts';
import { type Progress, showProgress } from './progress.ts';
import { parseUserLine } from './user-line.ts';

export const IMPORT_USAGE = `  npm run admin -- import FILE.ndjson [--validate-only]
      creates users, one JSON object a line with the fields of ImportUsersRequest; safe to run again with the same file`;

export async function importCommand(args: string[]): Promise<boolean> {
  const options = { 'validate-only': { type: 'boolean', default: false } } as const;
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options });
  const [file, ...superfluous] = positionals;
  if (file === undefined || superfluous.length > 0) return false;
  const { size } = await stat(file);
  const summary = await withDatabase(
    async (orm) => {
      await requireCurrentSchema(orm);
      return new FileImport(file, values['validate-only'], showProgress(size)).run(orm);
    },
    { besideService: true },
  );
  process.stdout.write(`${describe(summary)}\n`);
  if (summary.refused > 0) throw new Error(`${summary.refused} of the rows refused, see above`);
  return true;
}

const COUNTED = ['created', 'unchanged', 'valid', 'refused'] as const;

type Summary = Record<(typeof COUNTED)[number], number>;

const describe = (summary: Summary) => COUNTED.map((kind) => `${summary[kind]} ${kind}`).join(', ');

/** One run of the command: which line is which row, and how many came to what. */
class FileImport {
  readonly #input: ReadStream;
  readonly #validateOnly: boolean;
  readonly #progress: Progress;
  readonly #summary: Summary = { created: 0, unchanged: 0, valid: 0, refused: 0 };
  /** The line numbers of the rows that are not answered yet: answers come in the same order. */
  readonly #pending: number[] = [];

  constructor(file: string, validateOnly: boolean, progress: Progress) {
    this.#input = createReadStream(file);
    this.#validateOnly = validateOnly;
    this.#progress = progress;
  }

  async run(orm: Orm): Promise<Summary> {
    const deps = { now: () => new Date(), importRoles, problemOfForeignHash: problemOfHash };
    try {
      for await (const { outcome } of importUsers(systemCall(orm.em), deps, this.#rows())) {
        const line = this.#pending.shift() ?? 0;
        if (outcome.kind === 'refused') this.#refuse(line, outcome.error);
        else this.#summary[outcome.kind]++;
        this.#progress.update(this.#input.bytesRead, describe(this.#summary));
      }
    } finally {
      this.#progress.stop();
      this.#input.destroy();
    }
    return this.#summary;
  }

  async *#rows(): AsyncGenerator<GivenRow, void> {
    let number = 0;
    for await (const line of createInterface({ input: this.#input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (line.trim() === '') continue;
      const row = this.#parse(line, number);
      if (!row) continue;
      this.#pending.push(number);
      yield this.#validateOnly ? { ...row, validateOnly: true } : row;
    }
  }

  #parse(line: string, number: number): GivenRow | undefined {
    try {
      return parseUserLine(line);
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      this.#refuse(number, error);
      return undefined;
    }
  }

  #refuse(line: number, { reason, message }: IdentityError): void {
    this.#summary.refused++;
    this.#progress.say(`line ${line}: ${reason}: ${message}`);
  }
}
