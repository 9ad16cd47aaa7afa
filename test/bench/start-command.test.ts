import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseStartCommand, startCommand } from '../../bench/servers/start-command.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

describe('the start command', () => {
  it('is read from what npm runs', () => {
    const command = 'NODE_COMPILE_CACHE=some/cache A=1 exec node --an-option=4 --another src/main.ts';
    expect(parseStartCommand(command, path.resolve('/app'))).toEqual({
      env: { NODE_COMPILE_CACHE: path.resolve('/app/some/cache'), A: '1' },
      execArgv: ['--an-option=4', '--another'],
    });
  });

  it('is the same in a container', () => {
    const { env, execArgv } = startCommand();
    const dockerfile = readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8');
    for (const [name, value] of Object.entries(env)) expect(dockerfile).toContain(`${name}=${value.replace(ROOT, '/app')}`);
    expect(dockerfile).toContain(`CMD ${JSON.stringify(['node', ...execArgv, 'src/main.ts']).replaceAll(',', ', ')}`);
    expect(dockerfile).toContain(['node', ...execArgv, 'src/main.ts 2>&1'].join(' '));
  });
});
