import type { Server, ServerWritableStream, ServiceDefinition } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

type ServingStatus = 'SERVING' | 'NOT_SERVING';

const CHECK_INTERVAL_MS = 500;

export interface Health {
  /** From now on NOT_SERVING, whatever the database says: load balancers send no new calls. Who watches is told, and their call ended. */
  drain(): void;
  stop(): void;
}

/** Where several processes answer on one port: what each finds, and what all of them say because of it. */
export interface HealthOfAll {
  /** What this process has found out. */
  report(serving: boolean): void;
  /** `listener` is told whether all of them are serving. */
  onChange(listener: (serving: boolean) => void): void;
}

/**
 * grpc.health.v1 for the whole server (the empty name) and for each service: SERVING only while the database answers. The probe asks
 * over a connection of the same pool that the calls use, so an exhausted pool shows as well.
 * One process of several says what all have found: SERVING only while each is, so that it does not matter who is asked.
 */
export async function addHealth(
  server: Server,
  services: readonly string[],
  probe: () => Promise<void>,
  ofAll?: HealthOfAll,
): Promise<Health> {
  const names = ['', ...services];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'NOT_SERVING'])));
  const watches = addTo(server, health);
  let told: ServingStatus = 'NOT_SERVING';
  // Whoever watches is sent each status that is set, so only changes are.
  const tell = (status: ServingStatus) => {
    if (status === told) return;
    told = status;
    for (const name of names) health.setStatus(name, status);
  };
  let draining = false;
  let own = false;
  let all = true;
  const update = () => {
    if (!draining) tell(own && all ? 'SERVING' : 'NOT_SERVING');
  };
  ofAll?.onChange((serving) => {
    all = serving;
    update();
  });
  let timer: NodeJS.Timeout | undefined;

  const check = async () => {
    own = await probe().then(
      () => true,
      () => false,
    );
    if (draining) return;
    ofAll?.report(own);
    update();
    timer = setTimeout(check, CHECK_INTERVAL_MS).unref();
  };
  await check();

  return {
    drain() {
      draining = true;
      tell('NOT_SERVING');
      for (const watch of watches) watch.end();
    },
    stop() {
      draining = true;
      clearTimeout(timer);
    },
  };
}

type Watch = ServerWritableStream<unknown, unknown>;

/** Adds the service; returns the open watches, which never end by themselves and would hold up the end of the server. */
function addTo(server: Server, health: HealthImplementation): ReadonlySet<Watch> {
  const watches = new Set<Watch>();
  const addService = (definition: ServiceDefinition, handlers: { readonly watch: (call: Watch) => void }) =>
    server.addService(definition, {
      ...handlers,
      watch(call: Watch) {
        watches.add(call);
        call.once('cancelled', () => watches.delete(call));
        handlers.watch(call);
      },
    });
  health.addToServer({ addService } as unknown as Server);
  return watches;
}
