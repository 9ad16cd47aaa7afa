import { SingleBar } from 'cli-progress';

/** The progress of a command. */
export interface Progress {
  /** `done` of the total, and what there is to say about it. */
  update(done: number, note: string): void;
  /** A line that stays. */
  say(line: string): void;
  stop(): void;
}

/** Without a terminal there is a line now and then: each twentieth of the way. */
const LINES = 20;

/** Goes to stderr, so that stdout is free for the result: a bar where somebody watches, plain lines where they go into a log. */
export function showProgress(total: number, stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? bar(total, stream) : lines(total, stream);
}

function bar(total: number, stream: NodeJS.WriteStream): Progress {
  const single = new SingleBar({ format: '{bar} {percentage} % | {note} | {eta_formatted} left', stream, hideCursor: true });
  single.start(total, 0, { note: '' });
  return {
    update: (done, note) => single.update(done, { note }),
    // In the place of the bar, which is drawn anew below.
    say: (line) => void stream.write(`\r\u001b[K${line}\n`),
    stop: () => single.stop(),
  };
}

function lines(total: number, stream: NodeJS.WriteStream): Progress {
  let last = 0;
  return {
    update(done, note) {
      const part = Math.floor((done / Math.max(total, 1)) * LINES);
      if (part === last) return;
      last = part;
      stream.write(`${Math.floor((part * 100) / LINES)} % | ${note}\n`);
    },
    say: (line) => void stream.write(`${line}\n`),
    stop: () => undefined,
  };
}
