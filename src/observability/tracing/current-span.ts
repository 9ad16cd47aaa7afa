import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span } from '@opentelemetry/api';
import type { SpanIds } from './trace-parent.ts';

/** The span of whatever runs. It costs nothing until the first one is entered. */
export class CurrentSpan {
  readonly #spans = new AsyncLocalStorage<Span>();

  get(): Span | undefined {
    return this.#spans.getStore();
  }

  within<T>(span: Span, run: () => T): T {
    return this.#spans.run(span, run);
  }

  /** For log lines. */
  readonly ids = (): SpanIds | undefined => this.#spans.getStore()?.spanContext();
}
