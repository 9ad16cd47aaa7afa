export class SchemaBehindError extends Error {
  constructor(pending: readonly string[]) {
    super(`The database schema is behind by ${pending.length} migration(s): ${pending.join(', ')}.\nRun: npm run db:up`);
    this.name = 'SchemaBehindError';
  }
}
