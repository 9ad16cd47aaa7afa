import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Options } from '../options.ts';
import { chart } from './chart.ts';
import { type Machine, toSentence } from './machine.ts';
import { goalTable, measurementTable, type NamedOutcome, toMarkdown } from './table.ts';

const FOLDER = fileURLToPath(new URL('../results', import.meta.url));

export interface Run {
  readonly begun: Date;
  readonly seconds: number;
  readonly machine: Machine;
  readonly options: Options;
  readonly outcomes: readonly NamedOutcome[];
  readonly notices: readonly string[];
}

/** Writes bench/results; returns the folder. */
export async function writeReport(run: Run): Promise<string> {
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, 'results.json'), `${JSON.stringify(run, null, 2)}\n`);
  await writeFile(join(FOLDER, 'report.md'), markdown(run));
  await writeFile(join(FOLDER, 'chart.svg'), chart(run.outcomes.flatMap(({ goals }) => goals)));
  return FOLDER;
}

/** The conditions of a run in one line. */
export function conditions({ rounds, seconds, users, quick }: Options): string {
  const kind = quick ? 'quick run: ' : '';
  return `${kind}${rounds} rounds of ${seconds} s, ${users.few.toLocaleString('en')} and ${users.many.toLocaleString('en')} users`;
}

function markdown({ begun, seconds, machine, options, outcomes, notices }: Run): string {
  return [
    '# Benchmark',
    '',
    `${begun.toISOString()}, ${Math.round(seconds)} s; ${conditions(options)}.`,
    `${toSentence(machine)}.`,
    '',
    'Ratios are taken round by round; what counts is their median. Latencies are those of callers that send one request after the other.',
    '',
    '![By what factor each goal is met or missed](chart.svg)',
    '',
    toMarkdown(goalTable(outcomes)),
    '',
    toMarkdown(measurementTable(outcomes)),
    '',
    ...notices.map((notice) => `- ${notice}`),
    '',
  ].join('\n');
}
