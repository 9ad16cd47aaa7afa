import { createHash } from 'node:crypto';
import type { Log } from '../../observability/log.ts';

/** Setting a password must not hang on somebody else's server. */
const TIMEOUT_MS = 1000;
const WARN_EVERY_MS = 60_000;

/** The rest of a SHA-1 in hexadecimal, and how often that password has leaked: never, in lines that only pad the answer. */
const LINE = /^([0-9A-F]{35}):(\d+)$/i;

export interface BreachCheckDeps {
  readonly log: Log;
  /** Counts. */
  readonly onFailure: () => void;
}

/**
 * Asks a server that knows leaked passwords, in the range format of haveibeenpwned.com (v3), by k-anonymity: it learns the first 20 bits of
 * the hash, which many thousand passwords have in common. Fails open: without its answer the other rules have to do.
 */
export class BreachCheck {
  readonly #url: string;
  readonly #deps: BreachCheckDeps;
  #warnedAt = Number.NEGATIVE_INFINITY;

  /** `url` ends with a slash. */
  constructor(url: string, deps: BreachCheckDeps) {
    this.#url = url;
    this.#deps = deps;
  }

  async hasLeaked(password: string, signal: AbortSignal): Promise<boolean> {
    const hash = createHash('sha1').update(password, 'utf8').digest('hex').toUpperCase();
    try {
      const leaked = await this.#range(hash.slice(0, 5), signal);
      return leaked.has(hash.slice(5));
    } catch (error) {
      if (signal.aborted) throw error;
      this.#failed();
      return false;
    }
  }

  async #range(prefix: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const response = await fetch(`${this.#url}range/${prefix}`, {
      headers: { 'Add-Padding': 'true' },
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`status ${response.status}`);
    return leakedIn(text);
  }

  #failed(): void {
    this.#deps.onFailure();
    if (performance.now() - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = performance.now();
    this.#deps.log.warn('the server that knows leaked passwords does not answer as it should: new passwords are not checked there');
  }
}

function leakedIn(text: string): ReadonlySet<string> {
  const lines = text.trim().split(/\r?\n/).map(parseLine);
  return new Set(lines.filter(({ count }) => count > 0).map(({ suffix }) => suffix));
}

function parseLine(line: string): { suffix: string; count: number } {
  const [, suffix, count] = LINE.exec(line) ?? [];
  if (suffix === undefined) throw new Error('not in the range format');
  return { suffix: suffix.toUpperCase(), count: Number(count) };
}
