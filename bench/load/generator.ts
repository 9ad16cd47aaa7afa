import { fork } from 'node:child_process';
import { once } from 'node:events';
import { hasEnded } from '../servers/ask.ts';
import type { GeneratorAnswer, GeneratorRequest } from './generator-process.ts';
import type { Burst, LoadSettings } from './load.ts';

/** Callers that are ready to send. */
export interface OpenLoad {
  burst(seconds: number): Promise<Burst>;
  close(): Promise<void>;
}

/** The process that makes the load, apart from the one that conducts: neither waits for the other, and its processor time is its own. */
export class Generator {
  readonly #child = fork(new URL('./generator-process.ts', import.meta.url), { serialization: 'advanced', execArgv: [] });
  readonly #waiting = new Map<number, { resolve: (burst: Burst | undefined) => void; reject: (error: Error) => void }>();
  #lastId = 0;
  #lastLoad = 0;

  constructor() {
    this.#child.on('message', ({ id, burst, failure }: GeneratorAnswer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (failure === undefined) waiting?.resolve(burst);
      else waiting?.reject(new Error(failure));
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the load generator ended with ${signal ?? code}`));
    });
  }

  async open(settings: LoadSettings): Promise<OpenLoad> {
    const load = ++this.#lastLoad;
    await this.#ask({ kind: 'open', load, settings });
    return {
      burst: async (seconds) => (await this.#ask({ kind: 'burst', load, seconds })) as Burst,
      close: async () => void (await this.#ask({ kind: 'close', load })),
    };
  }

  async stop(): Promise<void> {
    if (hasEnded(this.#child)) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  #ask(request: GeneratorRequest): Promise<Burst | undefined> {
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Burst | undefined>();
    this.#waiting.set(id, { resolve, reject });
    this.#child.send({ ...request, id });
    return promise;
  }
}
