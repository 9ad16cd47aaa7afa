import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Connection, Target } from './connection.ts';
import { GrpcConnection } from './grpc-connection.ts';
import { Http1Connection } from './http1-connection.ts';
import { fieldAt } from './message.ts';

export interface LoadSettings {
  readonly target: Target;
  readonly connections: number;
  /** Callers that send one request after the other, spread over the connections. */
  readonly inFlight: number;
  /** Instead of as many as possible: so many a second, as long as callers are free. */
  readonly perSecond?: number;
  /** Request n belongs to caller n, and takes from each answer what the next one has to present. */
  readonly chain?: Chain;
}

export interface Chain {
  /** Field numbers in the answer, and the place in the request; both texts have the same length. */
  readonly answerPath: readonly number[];
  readonly requestOffset: number;
}

/** What a burst of requests came to. */
export interface Burst {
  readonly requests: number;
  /** Until the last answer. */
  readonly seconds: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Processor time that the generator itself has used, in microseconds. */
  readonly clientCpu: number;
}

const TICK_MS = 2;

/** Callers with their connections, which stay open from burst to burst. */
export class Load {
  readonly #settings: LoadSettings;
  readonly #connections: readonly Connection[];
  readonly #startedAt: Float64Array;
  readonly #free: number[] = [];
  #latencies: RecordableHistogram = createHistogram();
  #next = 0;
  #inFlight = 0;
  #running = false;
  #ended: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  constructor(settings: LoadSettings) {
    const { target, connections, inFlight, chain } = settings;
    this.#settings = settings;
    this.#startedAt = new Float64Array(inFlight);
    const answers = {
      onAnswer: (slot: number, body: Buffer | undefined) => this.#onAnswer(slot, body),
      onFailure: (reason: string) => this.#onFailure(reason),
    };
    const wantsBody = chain !== undefined || target.bodyContains !== undefined;
    this.#connections = Array.from({ length: connections }, () =>
      target.protocol === 'grpc' ? new GrpcConnection(target, answers, wantsBody) : new Http1Connection(target, answers),
    );
  }

  /** Sends for so long, then waits for the answers that are still out. */
  async burst(seconds: number): Promise<Burst> {
    const cpu = process.cpuUsage();
    const begun = performance.now();
    this.#latencies = createHistogram();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#ended = { resolve, reject };
    if (this.#failure) throw this.#failure;
    this.#running = true;
    const stop = setTimeout(() => this.#stop(), seconds * 1000);
    const pace = this.#start();
    await promise.finally(() => {
      clearTimeout(stop);
      clearInterval(pace);
    });
    const { user, system } = process.cpuUsage(cpu);
    return this.#summary((performance.now() - begun) / 1000, user + system);
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #start(): NodeJS.Timeout | undefined {
    const { inFlight, perSecond } = this.#settings;
    const slots = Array.from({ length: inFlight }, (_, slot) => slot);
    if (perSecond === undefined) {
      for (const slot of slots) this.#send(slot);
      this.#flush();
      return undefined;
    }
    this.#free.splice(0, Number.POSITIVE_INFINITY, ...slots);
    const begun = performance.now();
    let sent = 0;
    return setInterval(() => {
      // By the clock: a timer that is late has more to send.
      const due = Math.floor(((performance.now() - begun) / 1000) * perSecond);
      this.#sendPaced(due - sent);
      sent = due;
    }, TICK_MS);
  }

  #sendPaced(count: number): void {
    for (let sent = 0; sent < count && this.#running; sent++) {
      const slot = this.#free.shift();
      if (slot !== undefined) this.#send(slot);
    }
    this.#flush();
  }

  #send(slot: number): void {
    const { requests } = this.#settings.target;
    const request = this.#settings.chain ? slot : this.#next++ % requests.length;
    this.#startedAt[slot] = performance.now();
    this.#inFlight++;
    this.#connectionOf(slot).send(slot, request);
  }

  #onAnswer(slot: number, body: Buffer | undefined): void {
    this.#latencies.record(Math.max(1, Math.round((performance.now() - (this.#startedAt[slot] ?? 0)) * 1e6)));
    this.#inFlight--;
    if (body !== undefined && !this.#accept(slot, body)) return;
    if (!this.#running) this.#endIfIdle();
    else if (this.#settings.perSecond === undefined) this.#send(slot);
    else this.#free.push(slot);
  }

  #accept(slot: number, body: Buffer): boolean {
    const { target, chain } = this.#settings;
    if (chain) this.#connectionOf(slot).patch(slot, chain.requestOffset, fieldAt(body, chain.answerPath).toString('latin1'));
    if (target.bodyContains === undefined || body.includes(target.bodyContains)) return true;
    this.#onFailure(`an answer without "${target.bodyContains}": ${body.toString('utf8', 0, 200)}`);
    return false;
  }

  #stop(): void {
    this.#running = false;
    this.#endIfIdle();
  }

  #endIfIdle(): void {
    if (this.#inFlight === 0) this.#ended?.resolve();
  }

  #onFailure(reason: string): void {
    this.#running = false;
    this.#failure = new Error(reason);
    this.#ended?.reject(this.#failure);
    this.close();
  }

  #flush(): void {
    for (const connection of this.#connections) connection.flush();
  }

  #connectionOf(slot: number): Connection {
    return this.#connections[slot % this.#connections.length] as Connection;
  }

  #summary(seconds: number, clientCpu: number): Burst {
    const ms = (nanoseconds: number) => nanoseconds / 1e6;
    const { count, max } = this.#latencies;
    const [p50, p99] = [50, 99].map((percentile) => ms(this.#latencies.percentile(percentile))) as [number, number];
    return { requests: count, seconds, p50, p99, max: ms(max), clientCpu };
  }
}
