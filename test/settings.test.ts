import { glob, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, VARIABLES } from '../src/config.ts';
import { Secret } from '../src/secrets/secret.ts';
import type { Variables } from '../src/settings/variables.ts';

type Name = keyof typeof VARIABLES;
type Row = readonly [name: string, statedDefault: string];

const ROOT = path.resolve(import.meta.dirname, '..');
const README = await readFile(path.join(ROOT, 'README.md'), 'utf8');

/** OpenTelemetry's exporter reads it for itself; README names it beside the others. */
const UNDECLARED = ['OTEL_EXPORTER_OTLP_HEADERS'];

const SETTINGS = rowsBelow('## Settings');
const TRACES = rowsBelow('### Seen in production');
const ROWS = [...SETTINGS, ...TRACES];

const reflectionOn = (host: string) => loadConfig({ GRPC_HOST: host, ALLOW_PLAINTEXT: 'true' }).grpc.reflection;
const resource = loadConfig({ OTEL_TRACES_EXPORTER: 'otlp' }).tracing?.resource;

/** README's words for variables that have no default by themselves. */
const WITHOUT: Readonly<Partial<Record<Name, string>>> = {
  DATABASE_URL: 'embedded',
  DATABASE_POOL_MAX: String(loadConfig({}).database.poolMax),
  REFLECTION: `${reflectionOn('127.0.0.1')} on loopback, else ${reflectionOn('::')}`,
  SMTP_URL: 'mails become files in DATA_DIR/mail',
  JWT_SECRET_KEY: 'embedded: made once and kept',
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: VARIABLES.OTEL_EXPORTER_OTLP_PROTOCOL.parse(undefined),
  OTEL_SERVICE_NAME: resource?.['service.name'] ?? '',
  OTEL_RESOURCE_ATTRIBUTES: Object.values(resource ?? {}).join(),
  OTEL_TRACES_EXPORTER: 'otlp where there is an endpoint',
  OTEL_SDK_DISABLED: 'false',
};

/** One for each variable. Where a row of several variables has one default, it is that of all of them. */
function rowsBelow(heading: string): Row[] {
  const section = README.split(`\n${heading}\n`)[1]?.split(/\n#+ /)[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => {
    const [, names = '', stated = ''] = row.split('|').map((cell) => cell.trim().replaceAll('`', ''));
    const [variables, defaults] = [names.split(', '), stated.split(', ')];
    const ofEach = (index: number) => (defaults.length === variables.length ? defaults[index] : stated);
    return variables.map((name, index) => [name, ofEach(index) ?? ''] as const);
  });
}

/** The way README writes it. */
function defaultOf(name: Name): string {
  const value: unknown = VARIABLES[name].parse(undefined);
  if (value === undefined) return WITHOUT[name] ?? '';
  return String(value instanceof Secret ? value.reveal() : value) || 'empty';
}

async function declaredVariables(): Promise<string[]> {
  const names: string[] = [];
  for await (const file of glob('src/**/*-settings.ts', { cwd: ROOT })) {
    const room: Record<string, Variables> = await import(path.join(ROOT, file));
    for (const name of Object.keys(room)) if (name.endsWith('Variables')) names.push(...Object.keys(room[name] ?? {}));
  }
  return names;
}

describe('a setting', () => {
  it('is declared by one room alone, and known to config.ts', async () => {
    expect((await declaredVariables()).sort()).toEqual(Object.keys(VARIABLES).sort());
  });

  it('has a row in README, and every row there is of a setting', () => {
    const inReadme = new Set(ROWS.map(([name]) => name));
    expect([...inReadme].sort()).toEqual([...Object.keys(VARIABLES), ...UNDECLARED].sort());
  });

  it.each([SETTINGS, TRACES])('has one row in each table', (...table) => {
    const names = table.map(([name]) => name);
    expect(names).toEqual([...new Set(names)]);
  });

  it.each(ROWS.filter(([name]) => name in VARIABLES))('%s has the default of README: %s', (name, stated) => {
    expect(defaultOf(name as Name)).toBe(stated);
  });
});
