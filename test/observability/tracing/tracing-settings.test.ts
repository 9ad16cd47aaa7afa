import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { ConfigError } from '../../../src/settings/start-error.ts';

const tracing = (env: Record<string, string>) => loadConfig(env).tracing;

const problems = (env: Record<string, string>) => {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
  }
  return [];
};

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

describe('traces', () => {
  it.each([
    [{}],
    [{ OTEL_SERVICE_NAME: 'accounts', OTEL_TRACES_SAMPLER: 'always_on' }],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'true' }],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
  ])('are off with %j', (env) => {
    expect(tracing(env)).toBeUndefined();
  });

  it.each([
    [ENDPOINT, 'http://collector:4318/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp/' }, 'https://collector/otlp/v1/traces'],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://traces:1/x' }, 'http://traces:1/x'],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http://localhost:4318/v1/traces'],
    [{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'http://localhost:4317'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc' }, 'http://collector:4317'],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'false' }, 'http://collector:4318/v1/traces'],
  ])('with %j go to %s', (env, url) => {
    expect(tracing(env)?.url).toBe(url);
  });

  it('have the defaults of OpenTelemetry', () => {
    expect(tracing(ENDPOINT)).toMatchObject({
      protocol: 'http/protobuf',
      sampler: 'parentbased_always_on',
      ratio: 1,
      takesOver: true,
      resource: { 'service.name': 'identity' },
      delayMs: 5000,
    });
  });

  it('are named by OTEL_SERVICE_NAME rather than by OTEL_RESOURCE_ATTRIBUTES', () => {
    const env = { ...ENDPOINT, OTEL_RESOURCE_ATTRIBUTES: 'service.name=a,team=x%20y' };
    expect(tracing(env)?.resource).toEqual({ 'service.name': 'a', team: 'x y' });
    expect(tracing({ ...env, OTEL_SERVICE_NAME: 'b' })?.resource).toEqual({ 'service.name': 'b', team: 'x y' });
  });

  it('do not go on from a caller where OTEL_PROPAGATORS leaves out tracecontext', () => {
    expect(tracing({ ...ENDPOINT, OTEL_PROPAGATORS: 'none' })?.takesOver).toBe(false);
    expect(tracing({ ...ENDPOINT, OTEL_PROPAGATORS: 'baggage, tracecontext' })?.takesOver).toBe(true);
  });

  it('stop the start with every setting that is wrong', () => {
    const wrong = {
      OTEL_SDK_DISABLED: 'yes',
      OTEL_TRACES_EXPORTER: 'console',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http',
      OTEL_RESOURCE_ATTRIBUTES: 'team',
      OTEL_TRACES_SAMPLER: 'sometimes',
      OTEL_TRACES_SAMPLER_ARG: '2',
      OTEL_PROPAGATORS: 'b3',
      OTEL_BSP_SCHEDULE_DELAY: 'soon',
    };
    expect(problems(wrong).map((problem) => problem.split(' ')[0])).toEqual(expect.arrayContaining(Object.keys(wrong)));
    expect(problems({ OTEL_TRACES_SAMPLER_ARG: 'x' })).toEqual(['OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1']);
  });
});
