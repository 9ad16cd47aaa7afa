import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientUnaryCall, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { RetryInfo } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';
import { AuthServiceClient } from '../../src/gen/identity/v1/auth_service.ts';

export interface StormSettings {
  readonly port: number;
  readonly apiKey: string;
  /** One caller each; who is told to wait waits, and tries again. */
  readonly emails: readonly string[];
  readonly password: string;
  readonly deadlineMs: number;
}

export interface StormCount {
  readonly loggedIn: number;
  readonly shed: number;
  /** Refused for load, but not told when to come back. */
  readonly shedWithoutRetryInfo: number;
  readonly pastDeadline: number;
  /** Statuses that nobody expects, with their number. */
  readonly unexpected: Readonly<Record<string, number>>;
  readonly longestWaitMs: number;
}

const count = {
  loggedIn: 0,
  shed: 0,
  shedWithoutRetryInfo: 0,
  pastDeadline: 0,
  unexpected: {} as Record<string, number>,
  longestWaitMs: 0,
};
const calls = new Set<ClientUnaryCall>();
const stopping = new AbortController();
let callers: Promise<void>[] = [];

process.on('message', (message: StormSettings | 'at once' | 'when answered') => void onMessage(message));
process.on('disconnect', () => process.exit(1));

async function onMessage(message: StormSettings | 'at once' | 'when answered'): Promise<void> {
  if (typeof message === 'object') {
    const client = new AuthServiceClient(`127.0.0.1:${message.port}`, credentials.createInsecure());
    callers = message.emails.map((email) => keepLoggingIn(client, message, email));
    process.send?.('ready');
    return;
  }
  stopping.abort();
  if (message === 'at once') for (const call of calls) call.cancel();
  await Promise.all(callers);
  process.send?.(count);
}

async function keepLoggingIn(client: AuthServiceClient, settings: StormSettings, email: string): Promise<void> {
  while (!stopping.signal.aborted) {
    const begun = performance.now();
    const error = await logIn(client, settings, email);
    const pauseMs = note(error, performance.now() - begun);
    await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
}

function logIn(client: AuthServiceClient, { apiKey, password, deadlineMs }: StormSettings, email: string): Promise<ServiceError | null> {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${apiKey}`);
  const request = { email, username: undefined, password, client: undefined };
  return new Promise((resolve) => {
    const call = client.login(request, metadata, { deadline: Date.now() + deadlineMs }, (error) => {
      calls.delete(call);
      resolve(error);
    });
    calls.add(call);
  });
}

/** Counts an answer; returns how long the caller has been told to wait. */
function note(error: ServiceError | null, waitedMs: number): number {
  if (!error) {
    count.loggedIn++;
    count.longestWaitMs = Math.max(count.longestWaitMs, waitedMs);
  } else if (error.code === status.RESOURCE_EXHAUSTED) {
    const retryAfter = retryAfterMs(error);
    if (retryAfter === undefined) count.shedWithoutRetryInfo++;
    else count.shed++;
    return retryAfter ?? 1000;
  } else if (error.code === status.DEADLINE_EXCEEDED) {
    count.pastDeadline++;
  } else if (!(error.code === status.CANCELLED && stopping.signal.aborted)) {
    const name = status[error.code];
    count.unexpected[name] = (count.unexpected[name] ?? 0) + 1;
    return 1000;
  }
  return 0;
}

function retryAfterMs({ metadata }: ServiceError): number | undefined {
  const [bytes] = metadata.get('grpc-status-details-bin');
  const details = Buffer.isBuffer(bytes) ? Status.decode(bytes).details : [];
  const info = details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.RetryInfo'));
  const delay = info && RetryInfo.decode(info.value).retryDelay;
  return delay && delay.seconds * 1000 + delay.nanos / 1e6;
}
