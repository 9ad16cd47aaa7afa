import type { Server } from '@grpc/grpc-js';
import { HealthAnswers } from './health-service.ts';

const CHECK_INTERVAL_MS = 500;

export interface Health {
  /** From now on NOT_SERVING, whatever the database says: load balancers send no new calls. Those who watch are told, and their calls end. */
  drain(): void;
  stop(): void;
}

/** The health of several processes that answer on one port: each reports its own, and all of them say the same. */
export interface HealthOfAll {
  /** Tells the health of this process. */
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
  const answers = new HealthAnswers(server, ['', ...services]);
  let draining = false;
  let own = false;
  let all = true;
  const update = () => {
    if (!draining) answers.tell(own && all);
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
      answers.tell(false);
      answers.endWatches();
    },
    stop() {
      draining = true;
      clearTimeout(timer);
    },
  };
}
