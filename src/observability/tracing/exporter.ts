import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Log } from '../log.ts';
import type { TracingSettings } from './tracing-settings.ts';

/** Sends spans to a collector, and logs when that begins to fail and when it works again: not each batch, of which there may be many. */
export async function openExporter(settings: TracingSettings, log: Log): Promise<SpanExporter> {
  const exporter = await otlpExporter(settings);
  let failing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        // 0 is SUCCESS.
        const failed = result.code !== 0;
        if (failed && !failing) log.warn('traces could not be sent', describe(result.error));
        if (!failed && failing) log.info('traces are sent again');
        failing = failed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
}

async function otlpExporter({ protocol, url }: TracingSettings): Promise<SpanExporter> {
  switch (protocol) {
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter({ url });
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter({ url });
    case 'grpc':
      return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter({ url });
  }
}

/** Its message may name the address, in which there may be credentials. */
function describe(error: Error | undefined): object {
  const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown };
  return { name, code };
}
