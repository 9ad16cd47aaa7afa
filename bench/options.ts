import { parseArgs } from 'node:util';

export interface Options {
  readonly quick: boolean;
  /** Names of scenarios; empty: all. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Of one burst. */
  readonly seconds: number;
  /** Of each contestant, in seconds. */
  readonly warmUp: number;
  /** Missed goals make the exit code 1. */
  readonly check: boolean;
  /** Of the whole run. Where it gets late, contestants meet in fewer rounds. */
  readonly budgetSeconds: number;
  readonly users: { readonly few: number; readonly many: number };
  /** After so many calls, or so many seconds, the memory is looked at; and then it is watched over a quarter as many calls again. */
  readonly memory: { readonly calls: number; readonly seconds: number };
}

const FULL = {
  rounds: 5,
  seconds: 5,
  warmUp: 3,
  budgetSeconds: Number.POSITIVE_INFINITY,
  users: { few: 10_000, many: 1_000_000 },
  memory: { calls: 1_000_000, seconds: 1200 },
};
const QUICK = {
  rounds: 3,
  seconds: 0.25,
  warmUp: 0.6,
  budgetSeconds: 104,
  users: { few: 10_000, many: 100_000 },
  memory: { calls: 20_000, seconds: 4 },
};

export function readOptions(args: string[], scenarios: readonly string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
    },
  });
  const { quick, check } = values;
  const only = values.only.split(',').filter(Boolean);
  const unknown = only.filter((name) => !scenarios.includes(name));
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(',')}: there are ${scenarios.join(', ')}`);
  const defaults = quick ? QUICK : FULL;
  return {
    ...defaults,
    quick,
    check,
    only,
    rounds: Math.round(positive('--rounds', values.rounds, defaults.rounds)),
    seconds: positive('--seconds', values.seconds, defaults.seconds),
  };
}

function positive(name: string, given: string | undefined, fallback: number): number {
  const value = given === undefined ? fallback : Number(given);
  if (!(value > 0)) throw new Error(`${name} must be a positive number`);
  return value;
}
