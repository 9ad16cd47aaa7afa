import type { Bench, Scenario } from '../bench.ts';
import type { SeededDatabase } from '../database/postgres.ts';
import { atMost, goal } from '../goal.ts';
import { Load } from '../load/load.ts';
import { GET_CALLER, grpcTarget } from '../requests.ts';
import { startServer } from '../servers/server-process.ts';

/** From the start of the process to the first answer, on a database that is migrated. */
export const start: Scenario = {
  name: 'start',
  share: 4,
  run: async (bench) => {
    const database = await bench.few();
    const seconds: number[] = [];
    for (let round = 0; round < bench.options.rounds + 1; round++) {
      bench.report(`start ${round + 1} of ${bench.options.rounds + 1}`);
      seconds.push(await startOnce(bench, database));
    }
    // The first one reads the files from the disk.
    return { measurements: [], goals: [goal('Start to first answered RPC', atMost(1, 's'), seconds.slice(1))] };
  },
};

async function startOnce(bench: Bench, database: SeededDatabase): Promise<number> {
  const begun = performance.now();
  const service = await startServer(bench.serviceProgram(database), { bare: true });
  const load = new Load({ target: grpcTarget(service, GET_CALLER, [new Uint8Array()], database.apiKey), connections: 1, inFlight: 1 });
  await load.burst(0);
  const seconds = (performance.now() - begun) / 1000;
  load.close();
  await service.stop();
  return seconds;
}
