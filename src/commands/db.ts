import { executedMigrations, pendingMigrations } from '../database/migrations.ts';
import type { Orm } from '../database/orm.ts';
import { runCommand, withDatabase } from './command.ts';

const USAGE = `Usage:
  npm run db:status          which migrations the database has seen
  npm run db:up              run the pending ones
  npm run db:down            undo the latest one
  npm run db:create -- NAME  write a migration for what has changed in the entities`;

const print = (line: string) => void process.stdout.write(`${line}\n`);

const COMMANDS: Readonly<Record<string, (orm: Orm, name: string | undefined) => Promise<void>>> = {
  async status(orm) {
    for (const name of await executedMigrations(orm)) print(`executed  ${name}`);
    for (const name of await pendingMigrations(orm)) print(`pending   ${name}`);
  },
  async up(orm) {
    const done = await orm.migrator.up();
    for (const { name } of done) print(`up    ${name}`);
    if (done.length === 0) print('The schema is up to date.');
  },
  async down(orm) {
    const done = await orm.migrator.down();
    for (const { name } of done) print(`down  ${name}`);
    if (done.length === 0) print('There is nothing to undo.');
  },
  async create(orm, name) {
    const { fileName } = await orm.migrator.create(undefined, false, false, name?.replace(/\W+/g, '_'));
    print(fileName ? `written   migrations/${fileName}: review it before it runs` : 'The entities have not changed.');
  },
};

async function run([command = '', name]: string[]): Promise<void> {
  const execute = COMMANDS[command];
  if (!execute) throw new Error(USAGE);
  await withDatabase((orm) => execute(orm, name), { writeSnapshot: command === 'create' });
}

runCommand(run);
