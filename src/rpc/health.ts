import type { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

type ServingStatus = 'SERVING' | 'NOT_SERVING';

const CHECK_INTERVAL_MS = 500;

export interface Health {
  /** From now on NOT_SERVING, whatever the database says: load balancers send no new calls. */
  drain(): void;
  stop(): void;
}

/**
 * grpc.health.v1 for the whole server (the empty name) and for each service: SERVING only while the database answers. The probe asks
 * over a connection of the same pool that the calls use, so an exhausted pool shows as well.
 */
export async function addHealth(server: Server, services: readonly string[], probe: () => Promise<void>): Promise<Health> {
  const names = ['', ...services];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'NOT_SERVING'])));
  health.addToServer(server);
  let told: ServingStatus = 'NOT_SERVING';
  // Whoever watches is sent each status that is set, so only changes are.
  const tell = (status: ServingStatus) => {
    if (status === told) return;
    told = status;
    for (const name of names) health.setStatus(name, status);
  };
  let draining = false;
  let timer: NodeJS.Timeout | undefined;

  const check = async () => {
    const serving = await probe().then(
      () => true,
      () => false,
    );
    if (draining) return;
    tell(serving ? 'SERVING' : 'NOT_SERVING');
    timer = setTimeout(check, CHECK_INTERVAL_MS).unref();
  };
  await check();

  return {
    drain() {
      draining = true;
      tell('NOT_SERVING');
    },
    stop() {
      draining = true;
      clearTimeout(timer);
    },
  };
}
