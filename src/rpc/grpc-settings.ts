import { isIP } from 'node:net';
import { z } from 'zod';
import { flag, integer, type Rule, trueOrFalse, type ValuesOf } from '../settings/variables.ts';

export const grpcVariables = {
  GRPC_HOST: z.string().default('127.0.0.1'),
  GRPC_PORT: integer(50051, 0, 65_535),
  TLS_CERT_FILE: z.string().optional(),
  TLS_KEY_FILE: z.string().optional(),
  TLS_CLIENT_CA_FILE: z.string().optional(),
  ALLOW_PLAINTEXT: flag,
  REFLECTION: trueOrFalse.optional(),
};

type GrpcValues = ValuesOf<typeof grpcVariables>;

export const grpcRules: readonly Rule<GrpcValues>[] = [
  {
    variable: 'TLS_CERT_FILE',
    problem: 'and TLS_KEY_FILE must be given together',
    holds: (env) => (env.TLS_CERT_FILE === undefined) === (env.TLS_KEY_FILE === undefined),
  },
  {
    variable: 'TLS_CLIENT_CA_FILE',
    problem: 'needs TLS_CERT_FILE and TLS_KEY_FILE',
    holds: (env) => env.TLS_CLIENT_CA_FILE === undefined || env.TLS_CERT_FILE !== undefined,
  },
  {
    variable: 'GRPC_HOST',
    problem: 'is not a loopback address: give TLS_CERT_FILE and TLS_KEY_FILE, or say ALLOW_PLAINTEXT=true',
    holds: (env) => env.TLS_CERT_FILE !== undefined || env.ALLOW_PLAINTEXT === true || isLoopback(env.GRPC_HOST),
  },
];

export interface GrpcSettings {
  readonly host: string;
  readonly port: number;
  /** Absent: plaintext. */
  readonly tls: TlsFiles | undefined;
  readonly reflection: boolean;
}

/** Files in PEM. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** With it, a client must show a certificate that this authority has signed. */
  readonly clientCaFile: string | undefined;
}

export function grpcSettings(env: GrpcValues): GrpcSettings {
  return { host: env.GRPC_HOST, port: env.GRPC_PORT, tls: tlsFiles(env), reflection: env.REFLECTION ?? isLoopback(env.GRPC_HOST) };
}

function tlsFiles({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile, TLS_CLIENT_CA_FILE: clientCaFile }: GrpcValues): TlsFiles | undefined {
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile, clientCaFile };
}

/** Only programs on the same machine reach it. A name may resolve to anything, but for `localhost` (RFC 6761 §6.3). */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
