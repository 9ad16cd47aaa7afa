/** A worker could not begin. The message is what it has said itself, if it could. */
export class WorkerStartError extends Error {
  override readonly name = 'WorkerStartError';
}
