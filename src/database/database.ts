import { type EmbeddedPostgres, findEmbeddedPostgres, InUseError, startEmbeddedPostgres } from './embedded/embedded-postgres.ts';

/** The database that has the data: on a server of the operator's, or the embedded one. */
export interface Database {
  readonly url: string;
  readonly embedded: EmbeddedPostgres | undefined;
  close(): Promise<void>;
}

export async function openDatabase(url: string | undefined, dataDir: string): Promise<Database> {
  if (url !== undefined) return { url, embedded: undefined, close: async () => undefined };
  const embedded = await startEmbeddedPostgres(dataDir);
  return { url: embedded.url, embedded, close: () => embedded.stop() };
}

/** The same for a command that may work beside a service: it takes the embedded server as it is where a service runs it. */
export async function openDatabaseBeside(url: string | undefined, dataDir: string): Promise<Database> {
  try {
    return await openDatabase(url, dataDir);
  } catch (error) {
    const running = error instanceof InUseError ? await findEmbeddedPostgres(dataDir) : undefined;
    if (running === undefined) throw error;
    return { url: running, embedded: undefined, close: async () => undefined };
  }
}
