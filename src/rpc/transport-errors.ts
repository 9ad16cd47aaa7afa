import { Metadata, type ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor, status } from '@grpc/grpc-js';
import { IdentityError } from '../call/errors.ts';
import { requestIdOf } from './request-id.ts';
import { toGrpcStatus } from './status.ts';

/** Requests larger than this are refused; none of the messages of the API comes near it. */
export const MAX_REQUEST_BYTES = 256 * 1024;

export function requestTooLarge(): IdentityError {
  return new IdentityError({
    code: 'INVALID_ARGUMENT',
    reason: 'MESSAGE_TOO_LARGE',
    message: `the request has more than ${MAX_REQUEST_BYTES} bytes`,
    metadata: { limit_bytes: String(MAX_REQUEST_BYTES) },
  });
}

/** The answers that grpc-js gives by itself, before any handler runs, and their meaning in our API. */
const MEANINGS: readonly { readonly text: RegExp; readonly meaning: () => IdentityError }[] = [
  {
    text: /^(Received message larger than max|Received message that decompresses to a size larger)/,
    meaning: requestTooLarge,
  },
  {
    text: /^Failed to decompress message/,
    meaning: () =>
      new IdentityError({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE', message: 'the request cannot be decompressed' }),
  },
  {
    // grpc-js speaks of a server streaming method here, whatever the method is.
    text: /^Received (no|a second) request message for /,
    meaning: () =>
      new IdentityError({
        code: 'INVALID_ARGUMENT',
        reason: 'MALFORMED_MESSAGE',
        message: 'the call must have exactly one request message',
      }),
  },
  {
    text: /^Invalid grpc-timeout value/,
    meaning: () =>
      new IdentityError({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE', message: 'the grpc-timeout header is invalid' }),
  },
  {
    text: /^Deadline exceeded$/,
    meaning: () => new IdentityError({ code: 'DEADLINE_EXCEEDED', reason: 'CALL_DEADLINE_EXCEEDED', message: 'the deadline passed' }),
  },
];

type Status = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];
type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];

/**
 * Gives the failures that grpc-js produces itself a code that blames the right side (a garbled request is not INTERNAL) and the details
 * that every failure of this API carries.
 *
 * The responder of an interceptor is asked about what a handler sends, but not about those: they come from the call that the interceptor is
 * given, which sends them by its own `sendStatus`. So this takes the place of that method, call by call. Should grpc-js send them in another way
 * some day, they go out as it made them (and a test fails). Nothing is wrapped: with a ServerInterceptingCall around each call, IntrospectToken
 * takes 8 % more processor time; this costs nothing that can be told from noise.
 */
export const refineTransportErrors: ServerInterceptor = (_, call) => {
  const { start, sendStatus } = call;
  let heard: Heard | undefined;
  // In variables first: V8 keeps a closure for long that the source text assigns to a property (ended-calls.ts).
  const startHearing = (listener: Listener): void => {
    heard = new Heard(listener);
    start.call(call, heard);
  };
  const sendRefined = (given: Status): void => sendStatus.call(call, refine(given, heard?.metadata));
  call.start = startHearing;
  call.sendStatus = sendRefined;
  return call as ServerInterceptingCall;
};

function refine(given: Status, metadata: Metadata = new Metadata()): Status {
  const meaning = given.code === status.OK ? undefined : MEANINGS.find(({ text }) => text.test(given.details ?? ''))?.meaning();
  const carriesDetails = given.metadata instanceof Metadata && given.metadata.get('grpc-status-details-bin').length > 0;
  return meaning && !carriesDetails ? toGrpcStatus(meaning, requestIdOf(metadata)) : given;
}

/** Passes on what a call receives; keeps its metadata, which have the id of the request. */
class Heard implements Listener {
  metadata: Metadata | undefined;
  readonly #next: Listener;

  constructor(next: Listener) {
    this.#next = next;
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.metadata = metadata;
    this.#next.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    this.#next.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    this.#next.onReceiveHalfClose();
  }

  onCancel(): void {
    this.#next.onCancel();
  }
}
