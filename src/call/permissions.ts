/** Stands for every permission, those of products included. */
const EVERYTHING = '*';

/** What somebody may do: names such as `identity.users.read`. */
export class Permissions {
  static readonly NONE = new Permissions([]);
  readonly #names: ReadonlySet<string>;

  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
  }

  has(permission: string): boolean {
    return this.#names.has(EVERYTHING) || this.#names.has(permission);
  }

  /** Whether all of them are held; only who holds everything holds `*`. */
  includes(names: Iterable<string>): boolean {
    return [...names].every((name) => this.has(name));
  }

  /** What of this is left under the scopes of a key. */
  limitedTo(scopes: readonly string[]): Permissions {
    return new Permissions(scopes.includes(EVERYTHING) ? this.#names : scopes.filter((scope) => this.has(scope)));
  }

  /** Sorted. */
  list(): string[] {
    return [...this.#names].sort();
  }
}
