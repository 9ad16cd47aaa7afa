import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ASSIGNMENT = /^(\w+)=(.*)$/;

/** What `npm start` gives to Node: the bench starts the service in other folders, but not otherwise. */
export interface StartCommand {
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export function startCommand(): StartCommand {
  const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  return parseStartCommand(scripts.start, ROOT);
}

/** `NAME=value … exec node --option … src/main.ts`, begun in `folder`. */
export function parseStartCommand(command: string, folder: string): StartCommand {
  const words = command.split(' ');
  const assignments = words.flatMap((word) => {
    const [, name, value] = ASSIGNMENT.exec(word) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value] as const];
  });
  const env = Object.fromEntries(assignments);
  // The one that names a folder, seen from where the command is run.
  const { NODE_COMPILE_CACHE } = env;
  if (NODE_COMPILE_CACHE !== undefined) env.NODE_COMPILE_CACHE = path.resolve(folder, NODE_COMPILE_CACHE);
  return { execArgv: words.filter((word) => word.startsWith('--')), env };
}
