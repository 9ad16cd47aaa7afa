import { Metadata, status } from '@grpc/grpc-js';
import { BaseServerInterceptingCall } from '@grpc/grpc-js/build/src/server-interceptors.js';
import { IdentityError } from '../call/errors.ts';
import { requestIdOf } from './request-id.ts';
import { toGrpcStatus } from './status.ts';

/** What grpc-js answers by itself, before any handler runs, and what it means in our API. */
const MEANINGS: readonly { readonly text: RegExp; readonly meaning: () => IdentityError }[] = [
  {
    text: /^(Received message larger than max|Received message that decompresses to a size larger)/,
    meaning: () => new IdentityError({ code: 'INVALID_ARGUMENT', reason: 'MESSAGE_TOO_LARGE', message: 'the request is too large' }),
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

let refined = false;

/**
 * Gives the failures that grpc-js produces itself a code that blames the right side (a garbled request is not INTERNAL) and the details
 * that every failure of this API carries. grpc-js offers no hook for them: interceptors see only what a handler sends. So this wraps the
 * method that writes the status; a test holds it against the library.
 */
export function refineTransportErrors(): void {
  if (refined) return;
  refined = true;
  const { sendStatus } = BaseServerInterceptingCall.prototype;
  BaseServerInterceptingCall.prototype.sendStatus = function (given) {
    const meaning = given.code === status.OK ? undefined : MEANINGS.find(({ text }) => text.test(given.details ?? ''))?.meaning();
    const carriesDetails = given.metadata instanceof Metadata && given.metadata.get('grpc-status-details-bin').length > 0;
    // The request's headers, which the type keeps private.
    const { metadata } = this as unknown as { readonly metadata: Metadata };
    sendStatus.call(this, meaning && !carriesDetails ? toGrpcStatus(meaning, requestIdOf(metadata)) : given);
  };
}
