import type { EntityClass, EntityManager, EventArgs, EventSubscriber, TransactionEventArgs } from '@mikro-orm/postgresql';

/** Tells which rows of a kind this process itself has inserted and committed, before the call that did so is answered. */
export class CommittedRows<T extends object> implements EventSubscriber<T> {
  readonly #entity: EntityClass<T>;
  readonly #tell: (row: T) => void;
  readonly #uncommitted = new WeakMap<object, T[]>();

  constructor(entity: EntityClass<T>, tell: (row: T) => void) {
    this.#entity = entity;
    this.#tell = tell;
  }

  getSubscribedEntities() {
    return [this.#entity];
  }

  afterCreate({ em, entity }: EventArgs<T>): void {
    const rows = this.#uncommitted.get(em) ?? [];
    rows.push(entity);
    this.#uncommitted.set(em, rows);
  }

  afterTransactionCommit({ em }: TransactionEventArgs & { readonly em: EntityManager }): void {
    for (const row of this.#uncommitted.get(em) ?? []) this.#tell(row);
    this.#uncommitted.delete(em);
  }
}
