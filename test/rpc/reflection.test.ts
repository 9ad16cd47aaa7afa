import { connect as connectHttp2 } from 'node:http2';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { type ClientDuplexStream, credentials, loadPackageDefinition, Metadata, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { describe, expect, it } from 'vitest';
import { connectRaw, frame } from '../support/raw-http2.ts';
import { useService } from '../support/service.ts';

interface Answer {
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Uint8Array[] };
  readonly all_extension_numbers_response?: { readonly base_type_name: string; readonly extension_number: readonly number[] };
  readonly error_response?: { readonly error_code: number };
}

interface ReflectionClient {
  ServerReflectionInfo(metadata: Metadata): ClientDuplexStream<object, Answer>;
  close(): void;
}

type Grpc = { readonly grpc: { readonly reflection: Record<string, { ServerReflection: new (...args: unknown[]) => ReflectionClient }> } };

/** The number of the option that says who may call an RPC. */
const ACCESS = 50721;

const service = useService();

/** Asks one question, as grpcurl does: without credentials, or with these. */
async function ask(version: string, question: object, { address = service.address, authorization = '' } = {}): Promise<Answer> {
  const proto = fileURLToPath(new URL(`../proto/grpc/reflection/${version}/reflection.proto`, import.meta.resolve('@grpc/reflection')));
  const { grpc } = loadPackageDefinition(loadSync(proto, { keepCase: true })) as unknown as Grpc;
  const Client = grpc.reflection[version]?.ServerReflection;
  if (!Client) throw new Error(`there is no reflection ${version}`);
  const client = new Client(address, credentials.createInsecure());
  const metadata = new Metadata();
  if (authorization !== '') metadata.set('authorization', authorization);
  try {
    return await new Promise((resolve, reject) => {
      const stream = client.ServerReflectionInfo(metadata);
      stream.on('data', resolve);
      stream.on('error', reject);
      stream.write(question);
      stream.end();
    });
  } finally {
    client.close();
  }
}

async function filesOf(version: string, question: object): Promise<FileDescriptorProto[]> {
  const { file_descriptor_response: response } = await ask(version, question);
  return (response?.file_descriptor_proto ?? []).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

const symbol = (name: string) => ({ file_containing_symbol: name });

describe.each(['v1', 'v1alpha'])('grpc.reflection.%s', (version) => {
  it('lists the services', async () => {
    const { list_services_response: response } = await ask(version, { list_services: '*' });
    expect(response?.service.map(({ name }) => name).sort()).toEqual([
      'grpc.health.v1.Health',
      'identity.v1.ApiKeyService',
      'identity.v1.AuditService',
      'identity.v1.AuthService',
      'identity.v1.RoleService',
      'identity.v1.ServiceAccountService',
      'identity.v1.SessionService',
      'identity.v1.UserService',
    ]);
  });

  it('gives the file of a service together with all that it imports', async () => {
    const files = await filesOf(version, symbol('identity.v1.UserService'));
    const names = files.map(({ name }) => name);
    expect(names[0]).toBe('identity/v1/user_service.proto');
    expect(new Set(names)).toEqual(
      new Set([
        'identity/v1/user_service.proto',
        'identity/v1/access.proto',
        'identity/v1/user.proto',
        'google/type/date.proto',
        'google/api/field_behavior.proto',
        'google/protobuf/descriptor.proto',
        'google/protobuf/field_mask.proto',
        'google/protobuf/struct.proto',
        'identity/v1/error_reason.proto',
      ]),
    );
    for (const { dependency } of files) expect(names).toEqual(expect.arrayContaining(dependency));
  });

  it('tells which fields are optional', async () => {
    const files = await filesOf(version, symbol('identity.v1.User'));
    const user = files.flatMap(({ messageType }) => messageType).find(({ name }) => name === 'User');
    expect(user?.field.filter(({ proto3Optional }) => proto3Optional).map(({ name }) => name)).toEqual(['username']);
  });

  it.each([
    ['identity.v1.AuthService', 'identity/v1/auth_service.proto'],
    ['identity.v1.SessionService', 'identity/v1/session_service.proto'],
    ['identity.v1.ErrorReason', 'identity/v1/error_reason.proto'],
    ['grpc.health.v1.Health', 'health/v1/health.proto'],
    // What a status carries: with these grpcurl shows the details of an error.
    ['google.rpc.ErrorInfo', 'google/rpc/error_details.proto'],
    ['google.rpc.BadRequest', 'google/rpc/error_details.proto'],
    ['google.rpc.RetryInfo', 'google/rpc/error_details.proto'],
    ['google.protobuf.Duration', 'google/protobuf/duration.proto'],
    ['google.protobuf.Timestamp', 'google/protobuf/timestamp.proto'],
  ])('knows %s', async (name, file) => {
    const [first] = await filesOf(version, symbol(name));
    expect(first?.name).toBe(file);
  });

  it('names the entries of a map as protobuf wants it: grpcurl does not take the file otherwise', async () => {
    const [file] = await filesOf(version, symbol('grpc.health.v1.Health'));
    const list = file?.messageType.find(({ name }) => name === 'HealthListResponse');
    expect(list?.nestedType.map(({ name, options }) => [name, options?.mapEntry])).toEqual([['StatusesEntry', true]]);
    expect(list?.field.map(({ name, typeName }) => [name, typeName])).toEqual([
      ['statuses', '.grpc.health.v1.HealthListResponse.StatusesEntry'],
    ]);
  });

  it('gives a file by its name', async () => {
    const [first] = await filesOf(version, { file_by_filename: 'identity/v1/session_service.proto' });
    expect(first?.service.map(({ name }) => name)).toEqual(['SessionService']);
  });

  it('answers whoever asks, whatever the authorization', async () => {
    const { list_services_response: response } = await ask(version, { list_services: '*' }, { authorization: 'Bearer a.b.c' });
    expect(response?.service).toContainEqual({ name: 'identity.v1.UserService' });
  });

  it('tells who may call: the option of access.proto', async () => {
    const [service] = await filesOf(version, symbol('identity.v1.UserService'));
    const methods = service?.service.flatMap(({ method }) => method) ?? [];
    expect(methods.filter(({ options }) => !options?.$unknown?.some(({ no }) => no === ACCESS)).map(({ name }) => name)).toEqual([]);
    expect(methods.length).toBeGreaterThan(5);
  });

  it('goes on after a question that is none', async () => {
    const raw = connectRaw(service.address);
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    expect(await raw.call(path, frame(Buffer.from([0xff])))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    raw.close();
    const { list_services_response: response } = await ask(version, { list_services: '*' });
    expect(response?.service).toContainEqual({ name: 'identity.v1.UserService' });
  });

  it('keeps no answers for whoever does not read them', async () => {
    const session = connectHttp2(`http://${service.address}`, { settings: { initialWindowSize: 0 } });
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
    const before = process.memoryUsage.rss();
    // 30 bytes each, and their answers 130,000.
    const question = frame(Buffer.from('\x22\x17identity.v1.AuthService', 'latin1'));
    for (let questions = 0; questions < 2000; questions++) stream.write(question);
    // Asked over another connection after them: they have been dealt with.
    for (let asked = 0; asked < 20; asked++) await ask(version, { list_services: '*' });
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
    session.destroy();
  });

  it('serves at most a hundred streams at the same time', async () => {
    const raw = connectRaw(service.address);
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    for (let open = 0; open < 100; open++) raw.open(path);
    // After them, over the same connection.
    expect(await raw.call(path, frame(Buffer.alloc(0)))).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED' });
    raw.close();
    const answered = () =>
      ask(version, { list_services: '*' }).then(
        () => true,
        () => false,
      );
    await expect.poll(answered).toBe(true);
  });

  it.each([
    ['a method', 'identity.v1.UserService.GetUser', 'identity/v1/user_service.proto'],
    ['a field', 'identity.v1.User.username', 'identity/v1/user.proto'],
    ['a value of an enum', 'identity.v1.USER_NOT_FOUND', 'identity/v1/error_reason.proto'],
    ['a message within another', 'google.rpc.BadRequest.FieldViolation', 'google/rpc/error_details.proto'],
    ['an extension', 'identity.v1.access', 'identity/v1/access.proto'],
  ])('knows %s', async (_, name, file) => {
    expect((await filesOf(version, symbol(name)))[0]?.name).toBe(file);
  });

  it('knows what extends the options of an RPC', async () => {
    const type = 'google.protobuf.MethodOptions';
    const { all_extension_numbers_response: numbers } = await ask(version, { all_extension_numbers_of_type: type });
    expect(numbers).toEqual({ base_type_name: type, extension_number: [ACCESS] });
    const [file] = await filesOf(version, { file_containing_extension: { containing_type: type, extension_number: ACCESS } });
    expect(file?.extension.map(({ number }) => number)).toEqual([ACCESS]);
  });

  it.each([
    ['a symbol', symbol('identity.v1.NoSuchThing')],
    ['a file', { file_by_filename: 'identity/v1/no_such_thing.proto' }],
    ['an extension', { file_containing_extension: { containing_type: 'google.protobuf.MethodOptions', extension_number: 1 } }],
    ['a type that could be extended', { all_extension_numbers_of_type: 'identity.v1.NoSuchThing' }],
  ])('answers NOT_FOUND for %s that it does not know', async (_, question) => {
    expect((await ask(version, question)).error_response?.error_code).toBe(status.NOT_FOUND);
  });

  it('answers INVALID_ARGUMENT where nothing is asked', async () => {
    expect((await ask(version, {})).error_response?.error_code).toBe(status.INVALID_ARGUMENT);
  });
});

describe('with REFLECTION=false', () => {
  const closed = useService({ REFLECTION: 'false' });

  it.each(['v1', 'v1alpha'])('grpc.reflection.%s is UNIMPLEMENTED, for the administrator as well', async (version) => {
    for (const authorization of ['', `Bearer ${closed.adminKey}`]) {
      const answer = ask(version, { list_services: '*' }, { address: closed.address, authorization });
      await expect(answer).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
    }
    expect((await closed.users.listUsers({})).users).toEqual([]);
  });
});
