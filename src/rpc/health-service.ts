import { status as code, type Server, type ServerWritableStream } from '@grpc/grpc-js';
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthServer,
  HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/health/v1/health.ts';

type Watch = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

/** Answers grpc.health.v1: all that are named have the same status. */
export class HealthAnswers {
  readonly #names: ReadonlySet<string>;
  /** They never end by themselves, and would hold up the end of the server. */
  readonly #watches = new Set<Watch>();
  #status: ServingStatus = ServingStatus.NOT_SERVING;

  constructor(server: Server, names: readonly string[]) {
    this.#names = new Set(names);
    server.addService(HealthService, this.#handlers());
  }

  /** Sends each status to those who watch, but none that they were told before. */
  tell(serving: boolean): void {
    const status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    if (status === this.#status) return;
    this.#status = status;
    for (const watch of this.#watches) if (this.#names.has(watch.request.service)) watch.write({ status });
  }

  endWatches(): void {
    for (const watch of this.#watches) watch.end();
  }

  #handlers(): HealthServer {
    return {
      check: ({ request: { service } }, answer) => {
        if (this.#names.has(service)) answer(null, { status: this.#status });
        else answer({ code: code.NOT_FOUND, details: 'there is no such service' });
      },
      list: (_call, answer) => answer(null, { statuses: new Map(Array.from(this.#names, (name) => [name, { status: this.#status }])) }),
      watch: (call) => {
        this.#watches.add(call);
        call.once('cancelled', () => this.#watches.delete(call));
        call.write({ status: this.#names.has(call.request.service) ? this.#status : ServingStatus.SERVICE_UNKNOWN });
      },
    };
  }
}
