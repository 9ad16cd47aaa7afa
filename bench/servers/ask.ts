import type { ChildProcess, Serializable } from 'node:child_process';

/** Sends a message to a process and waits for its answer. One that has ended, or ends before it answers, is a failure. */
export function ask<T>(child: ChildProcess, message: Serializable): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error(`process ${child.pid} ended with ${child.signalCode ?? `code ${child.exitCode}`}`));
    if (hasEnded(child)) {
      onExit();
      return;
    }
    child.once('exit', onExit);
    child.once('message', (answer) => {
      child.off('exit', onExit);
      resolve(answer as T);
    });
    child.send(message);
  });
}

export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
