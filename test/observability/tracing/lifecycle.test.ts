import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createServiceAccountKey } from '../../../src/access/first-key.ts';
import { openServiceOrm } from '../../../src/app/orm.ts';
import { newEmail, PASSWORD } from '../../support/builders.ts';
import { type Clients, connect } from '../../support/client.ts';
import { Collector, SERVER } from '../../support/collector.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { MAIN, Process } from '../../support/process.ts';
import { SECRET_KEY, startService } from '../../support/service.ts';

const TELL_MODULES = new URL('../../support/tell-modules.ts', import.meta.url).href;

/** Rarer than any test is long: what arrives was sent because the service ended. */
const NEVER_BY_ITSELF = { OTEL_BSP_SCHEDULE_DELAY: '600000' };

let folder: string;
let database: TestDatabase;
let adminKey: string;
const started: Process[] = [];
const clients: Clients[] = [];
const collectors: Collector[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'identity-traces-'));
  database = await createDatabase();
  const orm = await openServiceOrm({ url: database.url });
  adminKey = await createServiceAccountKey(orm.em, 'test-admin', ['admin']);
  await orm.close();
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const collector of collectors.splice(0)) collector.stop();
  for (const { child, ended } of started.splice(0)) if (!ended) child.kill('SIGKILL');
});

afterAll(async () => {
  await database.drop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A service in a process of its own, which writes the packages that it loads to its error output. */
async function start(env: Record<string, string>): Promise<{ process: Process; client: Clients }> {
  const settings = { BCRYPT_COST: '4', GRPC_PORT: '0', DATABASE_URL: database.url, JWT_SECRET_KEY: SECRET_KEY, DATA_DIR: folder };
  const process = new Process({ ...settings, ...env }, folder, ['--import', TELL_MODULES, MAIN]);
  started.push(process);
  const client = connect(await process.address(), adminKey);
  clients.push(client);
  return { process, client };
}

async function collector(): Promise<Collector> {
  const collector = new Collector();
  collectors.push(collector);
  return collector;
}

async function useIt({ auth }: Pick<Clients, 'auth'>): Promise<void> {
  const email = newEmail();
  await auth.register({ email, password: PASSWORD });
  const { tokens } = await auth.login({ email, password: PASSWORD });
  await auth.introspectToken({ accessToken: tokens?.accessToken ?? '' });
  await auth.login({ email, password: 'wrong' }).catch(() => undefined);
}

const loaded = ({ stderr }: Process) => stderr.split('\n').filter((line) => line.startsWith('loaded @opentelemetry/'));

describe('without a setting that asks for traces', () => {
  it.each([
    ['OTEL_SERVICE_NAME', 'accounts'],
    ['METRICS_PORT', '0'],
  ])('only the API is loaded, by prom-client: %s=%s', async (name, value) => {
    const { process, client } = await start({ [name]: value });
    await useIt(client);
    expect(await process.end('SIGTERM')).toBe(0);
    expect(process.stderr).toContain('loaded pg');
    expect(loaded(process)).toEqual(['loaded @opentelemetry/api']);
  });
});

describe('a service that ends', () => {
  it.each(['http/protobuf', 'http/json'])('has sent every span by then (%s), with the headers of the environment', async (protocol) => {
    const there = await collector();
    const endpoint = await there.start();
    const headers = { OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=a%20b' };
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: protocol, ...headers, ...NEVER_BY_ITSELF };
    const { process, client } = await start(env);
    await useIt(client);
    expect(there.spans).toEqual([]);
    expect(await process.end('SIGTERM')).toBe(0);
    expect(loaded(process)).not.toEqual([]);
    const calls = there.spans.filter(({ kind }) => kind === SERVER).map(({ attributes }) => attributes['rpc.method']);
    expect(calls).toEqual(['Register', 'Login', 'IntrospectToken', 'Login']);
    expect(there.requests[0]).toMatchObject({ url: '/v1/traces', headers: { 'x-tenant': 'a b' } });
  });

  it('has sent every span by then over gRPC', async () => {
    const there = await collector();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: await there.startGrpc(), OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', ...NEVER_BY_ITSELF };
    const { process, client } = await start(env);
    await useIt(client);
    expect(await process.end('SIGTERM')).toBe(0);
    expect(there.spans.filter(({ kind }) => kind === SERVER)).toHaveLength(4);
  });
});

describe('OTEL_TRACES_SAMPLER', () => {
  it.each([
    ['always_off', '1', 0],
    ['traceidratio', '0', 0],
    ['parentbased_traceidratio', '0', 0],
    ['parentbased_traceidratio', '1', 4],
    ['always_on', '0', 4],
  ])('%s with %s records %i of 4 calls', async (sampler, ratio, count) => {
    const there = await collector();
    const endpoint = await there.start();
    const sampling = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio };
    const service = await startService({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...sampling, ...NEVER_BY_ITSELF }, database);
    await useIt(service);
    await service.stop();
    expect(there.spans.filter(({ kind }) => kind === SERVER)).toHaveLength(count);
  });
});

describe('a collector that is not there', () => {
  /** Takes connections and says nothing, for ever. */
  const silent = async (): Promise<{ endpoint: string; server: Server; sockets: Socket[] }> => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, sockets };
  };

  it('neither fails a call nor keeps the service from ending', async () => {
    const { endpoint, server, sockets } = await silent();
    const { process, client } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '20' });
    await useIt(client);
    await expect.poll(() => sockets.length).toBeGreaterThan(0);
    await useIt(client);
    const since = performance.now();
    expect(await process.end('SIGTERM')).toBe(0);
    // One attempt to send takes 10 s where nobody answers; the service must be gone after 9.5.
    expect(performance.now() - since).toBeLessThan(5000);
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it('is logged once, and so is that it is back', async () => {
    const there = await collector();
    const endpoint = await there.start();
    there.answer = (response) => response.writeHead(400).end();
    const { process, client } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '20' });
    const batches = async (count: number) => {
      const until = there.requests.length + count;
      while (there.requests.length < until) await client.auth.getCaller({});
    };
    await batches(5);
    expect(process.logged('traces could not be sent')).toEqual([expect.objectContaining({ level: 40 })]);
    expect(process.stdout).not.toContain(endpoint);
    there.answer = (response) => response.writeHead(200).end();
    await batches(3);
    expect(process.logged('traces are sent again')).toHaveLength(1);
    expect(process.logged('traces could not be sent')).toHaveLength(1);
    expect(await process.end('SIGTERM')).toBe(0);
  });
});

describe('the log line of a failed call', () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const spanId = 'b7ad6b7169203331';
  const metadata = { traceparent: `00-${traceId}-${spanId}-01` };
  const debug = { LOG_LEVEL: 'debug' };

  const failWith = async ({ process, client }: Awaited<ReturnType<typeof start>>, settings: { metadata?: Record<string, string> }) => {
    const before = process.logged('call failed').length;
    await expectStatus(client.auth.login({ email: newEmail(), password: 'wrong' }, settings), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await expect.poll(() => process.logged('call failed')).toHaveLength(before + 1);
    return process.logged('call failed').at(-1);
  };

  it('names the span of the call, in the trace of the caller', async () => {
    const there = await collector();
    const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: await there.start(), ...NEVER_BY_ITSELF, ...debug });
    const line = await failWith(service, { metadata });
    await service.process.end('SIGTERM');
    const span = there.spans.find(({ kind }) => kind === SERVER);
    expect(span?.parentSpanId).toBe(spanId);
    expect(line).toMatchObject({ trace_id: traceId, span_id: span?.spanId });
  });

  it('names the span of the caller where traces are off, and none where there is none', async () => {
    const service = await start(debug);
    for (const settings of [{}, { metadata: { traceparent: `00-${traceId}` } }]) {
      const line = await failWith(service, settings);
      expect(line).toHaveProperty('requestId');
      expect(line).not.toHaveProperty('trace_id');
      expect(line).not.toHaveProperty('span_id');
    }
    expect(await failWith(service, { metadata })).toMatchObject({ trace_id: traceId, span_id: spanId });
  });
});
