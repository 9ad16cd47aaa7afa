/** A failure that an operator can mend: a start that it ends says its message, which is for them, and no stack. */
export class StartError extends Error {
  override readonly name: string = 'StartError';
}

/** Every setting that is wrong or missing, at once. */
export class ConfigError extends StartError {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** The address is taken, or not one of this machine. */
export class ListenError extends StartError {
  override readonly name = 'ListenError';

  constructor(address: string, cause: Error) {
    super(`Cannot listen on ${address}: ${cause.message}`, { cause });
  }
}
