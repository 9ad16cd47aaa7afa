import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { ask, hasEnded } from './ask.ts';
import type { Usage } from './report-usage.ts';

export interface ServerProgram {
  readonly name: string;
  /** The file that is run, and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** The working directory: one without a `.env`. */
  readonly cwd: string;
}

/** A contestant: a process of its own that listens on a port of this machine. */
export interface ServerProcess {
  readonly name: string;
  readonly port: number;
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

const REPORT_USAGE = new URL('./report-usage.ts', import.meta.url).href;
const LISTENING = /listening on \S+:(\d+)/;
const STOP_MS = 12_000;

/** Not the bench's whole environment: settings in it would be for another service. And whoever asks for `node` gets the bench's. */
const { HOME, TMPDIR, SystemRoot, TEMP, TMP } = process.env;
const PATH = [path.dirname(process.execPath), process.env.PATH].join(path.delimiter);

/** Starts a program and waits until it says where it listens. */
export async function startServer({ name, command, env = {}, cwd }: ServerProgram, { bare = false } = {}): Promise<ServerProcess> {
  const [file, ...args] = command;
  const preload = bare ? {} : { NODE_OPTIONS: `--import=${REPORT_USAGE}` };
  const child = spawn(file, args, {
    cwd,
    env: { PATH, HOME, TMPDIR, SystemRoot, TEMP, TMP, NODE_ENV: 'production', ...preload, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const port = await portOf(child, name);
  return { name, port, usage: () => ask<Usage>(child, 'usage'), stop: () => stop(child) };
}

function portOf(child: ChildProcess, name: string): Promise<number> {
  let output = '';
  return new Promise((resolve, reject) => {
    const onOutput = (chunk: Buffer) => {
      output = `${output}${chunk}`.slice(-4000);
      const port = LISTENING.exec(output)?.[1];
      if (port !== undefined) resolve(Number(port));
    };
    child.stdout?.on('data', onOutput);
    child.stderr?.on('data', onOutput);
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`${name} ended with ${signal ?? `code ${code}`}:\n${output}`)));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exit;
  clearTimeout(patience);
}
