/** What is going on, on stderr: one line that changes, or, where that is no terminal, a line for each step. */
export class Progress {
  /** For the report. */
  readonly notices: string[] = [];
  readonly #begun = performance.now();

  readonly show = (what: string): void => {
    const seconds = Math.round((performance.now() - this.#begun) / 1000);
    const line = `[${String(seconds).padStart(4)} s] ${what}`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };

  /** Something that is to stay on the screen. */
  readonly notice = (what: string): void => {
    this.notices.push(what);
    process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${what}\n`);
  };

  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}
