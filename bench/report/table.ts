import type { Outcome } from '../bench.ts';
import type { Goal } from '../goal.ts';
import { type Measurement, type Metric, valuesOf } from '../measurement.ts';
import { type Spread, spread } from '../statistics.ts';

export interface NamedOutcome extends Outcome {
  readonly scenario: string;
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export const GOAL_HEAD = ['goal', 'limit', 'measured', 'min–max', ''];
export const MEASUREMENT_HEAD = ['', 'rounds', 'calls/s', 'min–max', 'p50 ms', 'p99 ms', 'server µs/call', 'client µs/call', 'memory MB'];

export function goalTable(outcomes: readonly NamedOutcome[]): Table {
  return { head: GOAL_HEAD, rows: outcomes.flatMap(({ goals }) => goals).map(goalRow) };
}

export function measurementTable(outcomes: readonly NamedOutcome[]): Table {
  return { head: MEASUREMENT_HEAD, rows: outcomes.flatMap(({ measurements }) => measurements).map(measurementRow) };
}

function goalRow({ name, limit, measured, met, note }: Goal): string[] {
  const { kind, value, unit } = limit;
  const verdict = `${met ? 'met' : 'MISSED'}${note === '' ? '' : ` (${note})`}`;
  const [middle, range] = measured ? [`${digits(measured.median)} ${unit}`, rangeOf(measured)] : ['–', ''];
  return [name, `${kind === 'at least' ? '≥' : '≤'} ${value} ${unit}`, middle, range, verdict];
}

function measurementRow(measurement: Measurement): string[] {
  const { name, samples } = measurement;
  if (samples.length === 0) return [name, '', 'failed', '', '', '', '', '', ''];
  const rate = spread(valuesOf(measurement, 'perSecond'));
  const rest: Metric[] = ['p50', 'p99', 'serverCpu', 'clientCpu', 'rss'];
  return [name, String(samples.length), digits(rate.median), rangeOf(rate), ...rest.map((metric) => middleOf(measurement, metric))];
}

function middleOf(measurement: Measurement, metric: Metric): string {
  const values = valuesOf(measurement, metric);
  return values.length === 0 ? '' : digits(spread(values).median);
}

const rangeOf = ({ min, max }: Spread) => `${digits(min)}–${digits(max)}`;

/** Three digits that count, no exponents. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 0.01 || value === 0 ? 2 : 4);
}

/** In columns, for a terminal: text to the left, numbers to the right. */
export function toText({ head, rows }: Table): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const isText = (column: number) => column === 0 || (column === head.length - 1 && head[column] === '');
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ');
  return [head, widths.map((width) => '─'.repeat(width)), ...rows].map((row) => line(row).trimEnd()).join('\n');
}

export function toMarkdown({ head, rows }: Table): string {
  const line = (row: readonly string[]) => `| ${row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  return [head, rule, ...rows].map(line).join('\n');
}
