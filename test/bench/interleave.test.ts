import { describe, expect, it } from 'vitest';
import { interleave } from '../../bench/interleave.ts';

const silent = () => undefined;

function contestant(name: string, log: string[], fails = false) {
  return {
    name,
    burst: async (seconds: number) => {
      log.push(`${name} ${seconds}`);
      if (fails) throw new Error('grpc-status 13');
      return { perSecond: 1, p50: 1, p99: 1 };
    },
  };
}

describe('interleave', () => {
  it('warms up, then goes there and back', async () => {
    const log: string[] = [];
    const both = [contestant('a', log), { ...contestant('b', log), stretch: 2 }];
    await interleave(both, { rounds: 2, seconds: 1, warmUp: 5 }, silent);
    expect(log).toEqual(['a 5', 'b 10', 'a 1', 'b 2', 'b 2', 'a 1']);
  });

  it('goes on without a contestant that fails, and says why', async () => {
    const log: string[] = [];
    const measured = await interleave([contestant('a', log, true), contestant('b', log)], { rounds: 2, seconds: 1, warmUp: 5 }, silent);
    expect(log).toEqual(['a 5', 'b 5', 'b 1', 'b 1']);
    expect(measured[0]).toEqual({ name: 'a', samples: [], failure: 'grpc-status 13' });
    expect(measured[1]?.samples).toHaveLength(2);
  });

  it('plays one round, however late it is', async () => {
    const measured = await interleave([contestant('a', [])], { rounds: 3, seconds: 1, warmUp: 1, until: 0 }, silent);
    expect(measured[0]?.samples).toHaveLength(1);
  });
});
