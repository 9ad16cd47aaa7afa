import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';

/** Where the figures come from. */
export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
  readonly postgres: string;
}

export function describeMachine(postgres: string): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()} ${release()}`,
    node: process.version,
    postgres,
  };
}

export function toSentence({ cores, cpu, memoryGb, system, node, postgres }: Machine): string {
  return `${cores} cores (${cpu}), ${memoryGb} GB, ${system}, Node ${node}, PostgreSQL ${postgres}; clients, servers and database share them`;
}
