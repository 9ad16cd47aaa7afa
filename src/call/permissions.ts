/** Stands for every permission, those of products included. */
const EVERYTHING = '*';

/** A set of permissions: names such as `identity.users.read`. */
export class Permissions {
  static readonly NONE = new Permissions([]);
  readonly #names: ReadonlySet<string>;

  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
  }

  has(permission: string): boolean {
    return this.#names.has(EVERYTHING) || this.#names.has(permission);
  }

  /** Tells whether all of them are held; `*` is held only by a caller who has everything. */
  includes(names: Iterable<string>): boolean {
    return [...names].every((name) => this.has(name));
  }

  /** Returns those that are left under the scopes of a key; one without scopes is not limited. */
  limitedTo(scopes: readonly string[]): Permissions {
    return scopes.length === 0 || scopes.includes(EVERYTHING) ? this : new Permissions(scopes.filter((scope) => this.has(scope)));
  }

  /** Sorted. */
  list(): string[] {
    return [...this.#names].sort();
  }
}
