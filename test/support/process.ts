import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { expect, vi } from 'vitest';
import { required } from './builders.ts';

/** As `npm start` sets it; without it, a command takes twice the time to begin. */
const NODE_COMPILE_CACHE = path.resolve(import.meta.dirname, '../../node_modules/.cache/identity');

export const MAIN = path.resolve(import.meta.dirname, '../../src/main.ts');

/** `node src/main.ts`, as a person or a container starts it; or another program of ours. */
export class Process {
  readonly child: ChildProcess;
  readonly exit: Promise<number | NodeJS.Signals>;
  stdout = '';
  stderr = '';
  ended = false;

  /** `ownGroup`: as a shell starts it; a Ctrl-C goes to the whole group. */
  constructor(env: Record<string, string>, cwd: string, command: readonly string[] = [MAIN], ownGroup = false) {
    const settings = { cwd, env: { PATH: process.env.PATH, NODE_COMPILE_CACHE, ...env }, detached: ownGroup };
    this.child = spawn(process.execPath, command, { ...settings, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
    });
    this.child.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.exit = once(this.child, 'close').then(([code, signal]) => {
      this.ended = true;
      return code ?? signal;
    });
  }

  /** Where it listens, once it says so. */
  async address(): Promise<string> {
    await this.says('listening on');
    return required(/listening on (\S+)/.exec(this.stdout)?.[1]);
  }

  /** Waits until it has written this to its standard output. */
  async says(text: string): Promise<void> {
    await vi.waitFor(
      () => {
        if (this.ended) throw new Error(`the process has ended: ${this.stderr}`);
        expect(this.stdout).toContain(text);
      },
      { timeout: 30_000, interval: 20 },
    );
  }

  /** The lines of its log with this message. */
  logged(message: string): Record<string, unknown>[] {
    const lines = this.stdout.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === message);
  }

  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return this.exit;
  }
}
