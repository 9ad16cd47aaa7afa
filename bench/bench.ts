import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Postgres, SeededDatabase } from './database/postgres.ts';
import type { Goal } from './goal.ts';
import { type Contestant, interleave, type Rounds } from './interleave.ts';
import { Generator, type OpenLoad } from './load/generator.ts';
import type { Burst, LoadSettings } from './load/load.ts';
import type { Measurement, Sample } from './measurement.ts';
import type { Options } from './options.ts';
import type { Progress } from './progress.ts';
import { SECRET_KEY } from './requests.ts';
import type { Usage } from './servers/report-usage.ts';
import { type ServerProcess, type ServerProgram, startServer } from './servers/server-process.ts';

export interface Outcome {
  readonly measurements: readonly Measurement[];
  readonly goals: readonly Goal[];
}

/** A part of the bench that can be run by itself. */
export interface Scenario {
  /** For `--only`. */
  readonly name: string;
  /** How long it takes compared with the others. */
  readonly share: number;
  readonly run: (bench: Bench) => Promise<Outcome>;
}

const SERVICE = fileURLToPath(new URL('../bin/identity', import.meta.url));
const CEILING = fileURLToPath(new URL('./servers/ceiling.ts', import.meta.url));

/** As the service's default. */
export const POOL_MAX = 10;

/** Enough that every core always has a password to check: while one is hashed, another one is read or written. */
export const LOGINS_IN_FLIGHT = 2 * availableParallelism();

/** Callers of an ordinary contestant, and the connections that they share. */
const IN_FLIGHT = 32;
const CONNECTIONS = 4;

/** What scenarios work with. Whatever they start is stopped by `release`. */
export class Bench {
  readonly options: Options;
  readonly postgres: Postgres;
  readonly progress: Progress;
  readonly #generator = new Generator();
  #resources: (() => Promise<void>)[] = [];
  #shared: Promise<ServerProcess> | undefined;
  #scenario = '';
  #until = Number.POSITIVE_INFINITY;

  constructor(options: Options, postgres: Postgres, progress: Progress) {
    this.options = options;
    this.postgres = postgres;
    this.progress = progress;
  }

  /** `until`: when it should be done, a time of `performance.now`. */
  async run({ name, run }: Scenario, until: number): Promise<Outcome> {
    this.#scenario = name;
    this.#until = until;
    this.report('starting');
    try {
      return await run(this);
    } finally {
      await this.release();
    }
  }

  readonly report = (what: string): void => this.progress.show(`${this.#scenario}: ${what}`);

  few(): Promise<SeededDatabase> {
    return this.postgres.seeded(this.options.users.few);
  }

  many(): Promise<SeededDatabase> {
    return this.postgres.seeded(this.options.users.many);
  }

  /** The service as it runs in production, but for the limits of calls a minute: there is one caller here, and it calls for thousands. */
  serviceProgram({ url }: SeededDatabase, env: Readonly<Record<string, string>> = {}): ServerProgram {
    const settings = {
      DATABASE_URL: url,
      JWT_SECRET_KEY: SECRET_KEY,
      GRPC_PORT: '0',
      ACCESS_TOKEN_TTL: '86400',
      RATE_LIMIT_PER_CALLER: '1000000000',
      RATE_LIMIT_PER_ADDRESS: '0',
      DATABASE_POOL_MAX: String(POOL_MAX),
    };
    return { name: 'identity', command: ['sh', SERVICE], env: { ...settings, ...env }, cwd: this.postgres.folder };
  }

  /** With the defaults, on the few users: the same process for every scenario that asks, warm from the one before. */
  async sharedService(): Promise<ServerProcess> {
    this.#shared ??= startServer(this.serviceProgram(await this.few()));
    return this.#shared;
  }

  async service(database: SeededDatabase, env?: Readonly<Record<string, string>>): Promise<ServerProcess> {
    return this.owned(await startServer(this.serviceProgram(database, env)));
  }

  async ceiling(kind: 'echo' | 'read' | 'write', database?: SeededDatabase): Promise<ServerProcess> {
    const env = { DATABASE_URL: database?.url ?? '', DATABASE_POOL_MAX: String(POOL_MAX) };
    return this.owned(await startServer({ name: kind, command: [process.execPath, CEILING, kind], env, cwd: this.postgres.folder }));
  }

  owned(server: ServerProcess): ServerProcess {
    this.own(() => server.stop());
    return server;
  }

  own(release: () => Promise<void>): void {
    this.#resources.push(release);
  }

  async load(settings: Pick<LoadSettings, 'target'> & Partial<LoadSettings>): Promise<OpenLoad> {
    const inFlight = settings.inFlight ?? IN_FLIGHT;
    const load = await this.#generator.open({ connections: Math.min(CONNECTIONS, inFlight), ...settings, inFlight });
    this.own(() => load.close());
    return load;
  }

  /** A server under a load; its port is the server's. */
  async contestant(
    name: string,
    server: ServerProcess,
    settings: Pick<LoadSettings, 'target'> & Partial<LoadSettings>,
    stretch = 1,
  ): Promise<Contestant> {
    const load = await this.load(settings);
    return { name, stretch, burst: (seconds) => observe(server, () => load.burst(seconds)) };
  }

  interleave(contestants: readonly Contestant[], rounds: Partial<Rounds> = {}): Promise<Measurement[]> {
    return interleave(contestants, { ...this.options, until: this.#until, ...rounds }, this.report);
  }

  /** The latest first: connections before the servers that they lead to. */
  async release(): Promise<void> {
    for (const release of this.#resources.splice(0).reverse()) await release();
  }

  async close(): Promise<void> {
    await this.release();
    await (await this.#shared)?.stop();
    await this.#generator.stop();
  }
}

/** A burst together with what it has cost the server. */
export async function observe(server: ServerProcess, burst: () => Promise<Burst>): Promise<Sample> {
  const before = await server.usage();
  const measured = await burst();
  return sampleOf(measured, before, await server.usage());
}

function sampleOf({ requests, seconds, p50, p99, clientCpu }: Burst, before: Usage, after: Usage): Sample {
  return {
    perSecond: requests / seconds,
    p50,
    p99,
    serverCpu: (after.cpu - before.cpu) / requests,
    clientCpu: clientCpu / requests,
    rss: after.rss / 1e6,
  };
}
