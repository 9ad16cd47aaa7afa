import { hash, randomInt } from 'node:crypto';
import type { HashSample } from '../../users/password-hash-sample.repository.ts';
import type { StoredHash } from './password-scheme.ts';

/** Sampled again only when a dummy is asked for: a service at which nobody guesses asks nothing. */
const SAMPLED_EVERY_MS = 10_000;

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

export interface DummyHashesDeps {
  /** The hashes that are stored, by scheme. */
  readonly sample: () => Promise<readonly HashSample[]>;
  /** Undefined for a value that nobody understands. */
  readonly read: (stored: string) => StoredHash | undefined;
  /** The scheme and parameters of new hashes, followed by a salt and a hash of any content. */
  readonly current: string;
}

interface Choice {
  /** The share of the accounts whose scheme is this one or one before it. */
  readonly upTo: number;
  readonly hash: StoredHash;
}

/**
 * The hashes that are compared where there is none to compare with, so that this takes as long as a wrong password does. Accounts do not all
 * take the same time: imported hashes, and those of an older cost, stay until the next login of their user. So a dummy is drawn from what
 * is stored, as often as it is stored there.
 *
 * It is always the same for the same identifier: an account takes the same time with each guess, and somebody who is none must, too.
 */
export class DummyHashes {
  readonly #deps: DummyHashesDeps;
  #choices: readonly Choice[];
  #sampledAt = Number.NEGATIVE_INFINITY;

  constructor(deps: DummyHashesDeps) {
    this.#deps = deps;
    this.#choices = this.#choicesFrom([]);
  }

  /** The dummy for an identifier, of which a hash or a random id is given. */
  of(identity: string | Buffer): StoredHash {
    if (performance.now() - this.#sampledAt >= SAMPLED_EVERY_MS) void this.refresh();
    const point = hash('sha256', identity, 'buffer').readUInt32BE() / 2 ** 32;
    const choice = this.#choices.find(({ upTo }) => point < upTo) ?? this.#choices.at(-1);
    return (choice as Choice).hash;
  }

  /** Looks at what is stored now. If the database does not answer, what was stored before has to do. */
  async refresh(): Promise<void> {
    this.#sampledAt = performance.now();
    const samples = await this.#deps.sample().catch(() => undefined);
    if (samples) this.#choices = this.#choicesFrom(samples);
  }

  /** In an order that does not change with the counts, so that few identifiers get another dummy when these do. */
  #choicesFrom(samples: readonly HashSample[]): Choice[] {
    const readable = samples.flatMap(({ scheme, passwordHash, count }) => {
      const hash = this.#deps.read(scrambled(passwordHash, scheme));
      return hash ? [{ scheme, hash, count }] : [];
    });
    const total = readable.reduce((sum, { count }) => sum + count, 0);
    let counted = 0;
    const choices = readable
      .sort((a, b) => (a.scheme < b.scheme ? -1 : 1))
      .map(({ hash, count }) => {
        counted += count;
        return { upTo: counted / total, hash };
      });
    return choices.length > 0 ? choices : [{ upTo: 1, hash: this.#deps.read(this.#deps.current) as StoredHash }];
  }
}

/** The same with another salt and hash: nobody's. The letters are good in every alphabet of the formats. */
function scrambled(stored: string, scheme: string): string {
  return scheme + stored.slice(scheme.length).replace(/[A-Za-z0-9]/g, () => LETTERS[randomInt(LETTERS.length)] as string);
}
