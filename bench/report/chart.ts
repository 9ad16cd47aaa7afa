import { type Goal, marginOf } from '../goal.ts';
import { digits } from './table.ts';

const WIDTH = 960;
const LABEL = 450;
const ROW = 22;
const TOP = 40;
const BAR = 12;
const VALUES = 70;
/** The axis is logarithmic: a tenth of what was promised at the left end, tenfold at the right. */
const DECADES = 1;

const COLOURS = { met: '#2e7d32', missed: '#c62828' };

/** By what factor each goal is met (right of the line) or missed (left of it), with the spread of the rounds. */
export function chart(goals: readonly Goal[]): string {
  const height = TOP + goals.length * ROW + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...[0.1, 0.25, 0.5, 1, 2, 4, 10].map((factor) => gridLine(factor, height)),
    ...goals.map((goal, index) => bar(goal, TOP + index * ROW)),
    '</svg>',
    '',
  ].join('\n');
}

function gridLine(factor: number, height: number): string {
  const x = place(factor);
  const colour = factor === 1 ? '#333' : '#ddd';
  return [
    `<line x1="${x}" y1="${TOP - 12}" x2="${x}" y2="${height - 5}" stroke="${colour}"/>`,
    `<text x="${x}" y="${TOP - 18}" text-anchor="middle" fill="#555">${factor === 1 ? 'goal' : `${factor}×`}</text>`,
  ].join('');
}

function bar(goal: Goal, y: number): string {
  const label = `<text x="${LABEL - 8}" y="${y + BAR - 1}" text-anchor="end">${escapeXml(goal.name)}</text>`;
  if (!goal.measured) return `${label}<text x="${place(1) + 6}" y="${y + BAR - 1}" fill="${COLOURS.missed}">failed</text>`;
  const { median, min, max } = goal.measured;
  const [from, to] = [place(1), place(marginOf(goal, median))].sort((a, b) => a - b) as [number, number];
  const [low, high] = [place(marginOf(goal, min)), place(marginOf(goal, max))];
  const middle = y + BAR / 2;
  return [
    label,
    `<rect x="${from}" y="${y}" width="${Math.max(1, to - from)}" height="${BAR}" fill="${goal.met ? COLOURS.met : COLOURS.missed}"/>`,
    `<line x1="${low}" y1="${middle}" x2="${high}" y2="${middle}" stroke="#000"/>`,
    `<text x="${WIDTH - VALUES + 10}" y="${y + BAR - 1}">${digits(median)} ${goal.limit.unit}</text>`,
  ].join('');
}

function place(factor: number): number {
  const decades = Math.min(DECADES, Math.max(-DECADES, Math.log10(factor) || 0));
  return Math.round(LABEL + ((decades + DECADES) / (2 * DECADES)) * (WIDTH - VALUES - LABEL));
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
