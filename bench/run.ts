import { Bench, type Scenario } from './bench.ts';
import { type Postgres, startPostgres } from './database/postgres.ts';
import { type Options, readOptions } from './options.ts';
import { Progress } from './progress.ts';
import { describeMachine, toSentence } from './report/machine.ts';
import { goalTable, measurementTable, type NamedOutcome, toText } from './report/table.ts';
import { conditions, type Run, writeReport } from './report/write-report.ts';
import { SCENARIOS } from './scenarios/scenarios.ts';

run(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);

/** Returns the exit code: 1 where a contestant failed, or, with `--check`, where a goal was missed. */
async function run(args: string[]): Promise<number> {
  const options = readOptions(
    args,
    SCENARIOS.map(({ name }) => name),
  );
  const progress = new Progress();
  progress.show('starting PostgreSQL');
  const postgres = await startPostgres(progress.show);
  const bench = new Bench(options, postgres, progress);
  const ending = endEarly(bench, postgres);
  try {
    const result = await measure(bench, ending);
    progress.clear();
    await print(result);
    return verdict(options, result);
  } finally {
    await bench.close();
    await postgres.stop();
  }
}

async function measure(bench: Bench, ending: AbortSignal): Promise<Run> {
  const { options, postgres, progress } = bench;
  const begun = new Date();
  const chosen = SCENARIOS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const untils = schedule(chosen, options.budgetSeconds);
  const outcomes: NamedOutcome[] = [];
  for (const [index, scenario] of chosen.entries()) {
    outcomes.push(await runScenario(bench, scenario, untils[index] as number));
    ending.throwIfAborted();
  }
  const seconds = (Date.now() - begun.getTime()) / 1000;
  return { begun, seconds, machine: describeMachine(postgres.version), options, outcomes, notices: progress.notices };
}

/** When each scenario should be done, by their shares of the time there is. */
function schedule(scenarios: readonly Scenario[], seconds: number): number[] {
  const all = scenarios.reduce((sum, { share }) => sum + share, 0);
  let done = 0;
  return scenarios.map(({ share }) => {
    done += share;
    return performance.now() + (done / all) * seconds * 1000;
  });
}

/** A contestant that fails is told of at once and again at the end; a scenario that cannot even begin is one, too. The others go on. */
async function runScenario(bench: Bench, scenario: Scenario, until: number): Promise<NamedOutcome> {
  const outcome = await bench.run(scenario, until).catch((error: unknown) => {
    if (error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return { measurements: [{ name: scenario.name, samples: [], failure: 'see above' }], goals: [] };
  });
  for (const { name, failure } of outcome.measurements) if (failure !== undefined) bench.progress.notice(`FAILED ${name}: ${failure}`);
  return { scenario: scenario.name, ...outcome };
}

async function print(result: Run): Promise<void> {
  const folder = await writeReport(result);
  process.stdout.write(`${toText(measurementTable(result.outcomes))}\n\n${toText(goalTable(result.outcomes))}\n\n`);
  process.stdout.write(`${conditions(result.options)}; ${Math.round(result.seconds)} s\n${toSentence(result.machine)}\n`);
  for (const notice of result.notices) process.stdout.write(`${notice}\n`);
  process.stdout.write(`Report, chart and all figures: ${folder}\n`);
}

function verdict({ check }: Options, { outcomes }: Run): number {
  const failed = outcomes.flatMap(({ measurements }) => measurements).some(({ failure }) => failure !== undefined);
  const missed = outcomes.flatMap(({ goals }) => goals).some(({ met }) => !met);
  return failed || (check && missed) ? 1 : 0;
}

/** A bench that is interrupted, or has a defect, leaves no server behind, and no report. */
function endEarly(bench: Bench, postgres: Postgres): AbortSignal {
  const ending = new AbortController();
  const end = async (reason: unknown) => {
    ending.abort(reason instanceof Error ? reason : new Error(`ended by ${reason}`));
    await bench.close().catch(() => undefined);
    await postgres.stop();
    process.exit(1);
  };
  for (const event of ['SIGINT', 'SIGTERM', 'uncaughtException']) process.once(event, (reason: unknown) => void end(reason));
  return ending.signal;
}
