import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type ClientDuplexStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { ErrorReason } from '../../src/gen/identity/v1/error_reason.ts';
import { Profile } from '../../src/gen/identity/v1/user.ts';
import {
  ImportUsersRequest,
  type ImportUsersResponse,
  ImportUsersResponse_Outcome,
  UserServiceClient,
} from '../../src/gen/identity/v1/user_service.ts';
import { newEmail } from './builders.ts';
import type { CallSettings } from './client.ts';

/** A row; what is left out is absent. */
export type Row = Partial<Omit<ImportUsersRequest, 'profile'>> & { readonly profile?: Partial<Profile> };

type Stream = ClientDuplexStream<ImportUsersRequest, ImportUsersResponse>;

interface Server {
  readonly address: string;
  readonly adminKey: string;
}

/** A hash of PASSWORD that another system has made with bcrypt. */
export const PASSWORD_HASH = '$2b$04$fVvpteRmmnt3eQULzmc5YOzkIS9Vk9I6B7yu3O2HZUr7zKldoyH9y';

/** A row that nobody has sent before. */
export const newRow = (fields: Row = {}): Row => ({ requestId: randomUUID(), email: newEmail(), ...fields });

/** What became of a row, in words. */
export interface Answer {
  readonly row: number;
  readonly requestId: string;
  /** E.g. `CREATED`. */
  readonly outcome: string;
  readonly userId: string;
  readonly reason: string | undefined;
  readonly message: string | undefined;
  readonly fields: readonly string[];
}

/** An import that is under way. */
export class Import {
  readonly #client: UserServiceClient;
  readonly #closed: Promise<unknown>;
  readonly stream: Stream;

  constructor({ address, adminKey }: Server, { token = adminKey, metadata = {}, timeout }: CallSettings = {}) {
    this.#client = new UserServiceClient(address, credentials.createInsecure());
    const sent = new Metadata();
    for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
    if (token !== null) sent.set('authorization', `Bearer ${token}`);
    this.stream = this.#client.importUsers(sent, timeout === undefined ? {} : { deadline: Date.now() + timeout });
    // Whoever reads the answers hears of it; nobody may be reading yet, or any more.
    this.stream.on('error', () => undefined);
    this.#closed = new Promise((resolve) => this.stream.once('close', resolve));
    void this.#closed.then(() => this.#client.close());
  }

  /** Waits where the stream is full. */
  async send(row: Row): Promise<void> {
    if (!this.stream.write(complete(row))) await Promise.race([once(this.stream, 'drain'), this.#closed]).catch(() => undefined);
  }

  end(): void {
    this.stream.end();
  }

  /** Throws how the stream fails. */
  async *answers(): AsyncGenerator<Answer, void> {
    for await (const answer of this.stream) yield toAnswer(answer as ImportUsersResponse);
  }

  cancel(): void {
    this.stream.cancel();
  }
}

/** Imports the rows and returns all answers; throws how the stream fails. */
export async function importUsers(server: Server, rows: Iterable<Row> | AsyncIterable<Row>, settings?: CallSettings): Promise<Answer[]> {
  const { answers, error } = await importUntilEnd(server, rows, settings);
  if (error) throw error;
  return answers;
}

/** The same where the stream may fail: the answers until then, and how it failed. */
export async function importUntilEnd(
  server: Server,
  rows: Iterable<Row> | AsyncIterable<Row>,
  settings?: CallSettings,
): Promise<{ answers: Answer[]; error: ServiceError | undefined }> {
  const running = new Import(server, settings);
  const answers: Answer[] = [];
  const collected = (async () => {
    for await (const answer of running.answers()) answers.push(answer);
  })().then(
    () => undefined,
    (error: ServiceError) => error,
  );
  for await (const row of rows) await running.send(row);
  running.end();
  return { answers, error: await collected };
}

/** The one answer to one row. */
export async function importOne(server: Server, row: Row, settings?: CallSettings): Promise<Answer> {
  const [answer] = await importUsers(server, [row], settings);
  if (!answer) throw new Error('no answer');
  return answer;
}

export function complete({ profile, ...row }: Row): ImportUsersRequest {
  return {
    ...ImportUsersRequest.decode(Buffer.alloc(0)),
    ...row,
    profile: profile && { ...Profile.decode(Buffer.alloc(0)), ...profile },
  };
}

function toAnswer({ row, requestId, outcome, userId, refusal }: ImportUsersResponse): Answer {
  return {
    row,
    requestId,
    outcome: nameOf(ImportUsersResponse_Outcome, outcome).replace('OUTCOME_', ''),
    userId,
    reason: refusal && nameOf(ErrorReason, refusal.reason),
    message: refusal?.message,
    fields: refusal?.fieldViolations.map(({ field }) => field) ?? [],
  };
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(names).find(([, number]) => number === value)?.[0] ?? String(value);
}
