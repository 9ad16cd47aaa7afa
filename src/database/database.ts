import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';

/** Where the data is: on a server of the operator's, or on the embedded one. */
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
