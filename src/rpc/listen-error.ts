/** The address is taken, or not one of this machine. */
export class ListenError extends Error {
  constructor(address: string, cause: Error) {
    super(`Cannot listen on ${address}: ${cause.message}`, { cause });
    this.name = 'ListenError';
  }
}
