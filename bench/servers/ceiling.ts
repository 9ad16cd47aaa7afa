import { type handleUnaryCall, Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import pg from 'pg';
import { GetUserRequest, GetUserResponse } from '../../src/gen/identity/v1/user_service.ts';

/**
 * What the stack itself can do: grpc-js, pg and PostgreSQL with nothing in between. `node ceiling.ts echo | read | write`; each is a process
 * of its own.
 */
type Handler = (request: Buffer) => Promise<Buffer> | Buffer;

const { DATABASE_URL, DATABASE_POOL_MAX } = process.env;

/** Messages pass as bytes: what is in them is the handler's business. */
const METHOD = {
  path: '/bench.Ceiling/Call',
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};

const HANDLERS: Readonly<Record<string, () => Handler>> = {
  echo: () => (request) => request,
  read: () => read(openPool()),
  write: () => write(openPool()),
};

function openPool(): pg.Pool {
  return new pg.Pool({ connectionString: DATABASE_URL, max: Number(DATABASE_POOL_MAX) });
}

/** One prepared SELECT by primary key, from and to the messages of GetUser. */
function read(pool: pg.Pool): Handler {
  const text = 'select id, email, username, email_verified_at, is_active from users where id = $1';
  return async (request) => {
    const { userId } = GetUserRequest.decode(request);
    const { rows } = await pool.query({ name: 'read', text, values: [userId] });
    const [row] = rows;
    const user = {
      id: row.id,
      email: row.email,
      emailVerified: row.email_verified_at !== null,
      username: row.username ?? undefined,
      active: row.is_active,
      profile: undefined,
      roles: [],
      hasPassword: true,
      twoFactorEnabled: false,
      etag: '',
    };
    return Buffer.from(GetUserResponse.encode({ user }).finish());
  };
}

/** One prepared UPDATE by primary key, committed by itself; the request is the key. */
function write(pool: pg.Pool): Handler {
  const text = 'update sessions set last_active_at = now() where id = $1 returning id, user_id, expires_at';
  return async (request) => {
    const { rows } = await pool.query({ name: 'write', text, values: [request.toString('latin1')] });
    return Buffer.from(rows[0].user_id, 'latin1');
  };
}

function serve(handler: Handler): UntypedServiceImplementation {
  const call: handleUnaryCall<Buffer, Buffer> = async (call, callback) => {
    try {
      callback(null, await handler(call.request));
    } catch (error) {
      callback(error as Error);
    }
  };
  return { call };
}

const handler = HANDLERS[process.argv[2] ?? '']?.();
if (!handler) throw new Error('echo, read or write?');
// channelz keeps books on every call; the service does without it as well.
const server = new Server({ 'grpc.enable_channelz': 0 });
server.addService({ call: METHOD }, serve(handler));
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`ceiling listening on 127.0.0.1:${port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
