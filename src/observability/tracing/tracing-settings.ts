import { z } from 'zod';
import { oneOf, someOf, type ValuesOf, webUrl } from '../../settings/variables.ts';

const PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const;

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

const PROPAGATORS = ['tracecontext', 'baggage', 'none'] as const;

/** Traces, by OpenTelemetry's own variables. The exporter reads headers, timeout, compression and certificates. */
export interface TracingSettings {
  readonly protocol: (typeof PROTOCOLS)[number];
  /** The whole address that spans are sent to. */
  readonly url: string;
  readonly sampler: (typeof SAMPLERS)[number];
  /** Of all traces, 0 to 1; for the samplers by trace id. */
  readonly ratio: number;
  /** A caller's `traceparent` is taken over. */
  readonly takesOver: boolean;
  /** Of the resource; with `service.name`. */
  readonly resource: Readonly<Record<string, string>>;
  /** Of every call's span: where it arrived. */
  readonly server: Readonly<Record<string, string | number>>;
  /** Spans wait at most so long for others to be sent with. */
  readonly delayMs: number;
}

/** `team=accounts,deployment.environment.name=prod`; commas, equals signs and what is not ASCII are percent-encoded. */
const attributes = z.string().transform((text, context) => {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '');
  try {
    return Object.fromEntries(pairs.map(attribute));
  } catch {
    context.addIssue('must be key=value pairs, separated by commas and percent-encoded');
    return z.NEVER;
  }
});

function attribute(pair: string): [string, string] {
  const [key, value, ...more] = pair.split('=').map((part) => decodeURIComponent(part.trim()));
  if (!key || value === undefined || more.length > 0) throw new Error('not a pair');
  return [key, value];
}

const names = <const T extends readonly string[]>(values: T) =>
  z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .pipe(someOf(values));

export const tracingVariables = {
  OTEL_SDK_DISABLED: z
    .string()
    .toLowerCase()
    .pipe(oneOf(['true', 'false']))
    .optional(),
  OTEL_TRACES_EXPORTER: oneOf(['otlp', 'none']).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: webUrl.optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: webUrl.optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: oneOf(PROTOCOLS).default('http/protobuf'),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: oneOf(PROTOCOLS).optional(),
  OTEL_SERVICE_NAME: z.string().optional(),
  OTEL_RESOURCE_ATTRIBUTES: attributes.optional(),
  OTEL_TRACES_SAMPLER: oneOf(SAMPLERS).default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number({ error: 'must be a number from 0 to 1' })
    .refine((ratio) => ratio >= 0 && ratio <= 1, 'must be a number from 0 to 1')
    .default(1),
  OTEL_PROPAGATORS: names(PROPAGATORS).default(['tracecontext', 'baggage']),
  OTEL_BSP_SCHEDULE_DELAY: z
    .string()
    .regex(/^\d{1,6}$/, 'must be a whole number of milliseconds')
    .transform(Number)
    .default(5000),
};

/** The address that the service listens on. */
interface ServerAddress {
  readonly host: string;
  /** 0: whatever is free. */
  readonly port: number;
}

/** Undefined unless somebody wants to have traces: says where they are to go, or that they are to go where a collector usually is. */
export function tracingSettings(env: ValuesOf<typeof tracingVariables>, { host, port }: ServerAddress): TracingSettings | undefined {
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (env.OTEL_SDK_DISABLED === 'true' || env.OTEL_TRACES_EXPORTER === 'none') return undefined;
  if (endpoint === undefined && env.OTEL_TRACES_EXPORTER === undefined) return undefined;
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? env.OTEL_EXPORTER_OTLP_PROTOCOL;
  return {
    protocol,
    url: env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? tracesUrl(protocol, env.OTEL_EXPORTER_OTLP_ENDPOINT),
    sampler: env.OTEL_TRACES_SAMPLER,
    ratio: env.OTEL_TRACES_SAMPLER_ARG,
    takesOver: env.OTEL_PROPAGATORS.includes('tracecontext'),
    resource: {
      'service.name': 'identity',
      ...env.OTEL_RESOURCE_ATTRIBUTES,
      ...(env.OTEL_SERVICE_NAME !== undefined && { 'service.name': env.OTEL_SERVICE_NAME }),
    },
    server: { 'server.address': host, ...(port !== 0 && { 'server.port': port }) },
    delayMs: env.OTEL_BSP_SCHEDULE_DELAY,
  };
}

/** The endpoint for all signals is a folder to HTTP (OTLP §Endpoint URLs for OTLP/HTTP), and the whole address to gRPC. */
function tracesUrl(protocol: TracingSettings['protocol'], endpoint: string | undefined): string {
  if (protocol === 'grpc') return endpoint ?? 'http://localhost:4317';
  return `${(endpoint ?? 'http://localhost:4318').replace(/\/+$/, '')}/v1/traces`;
}
