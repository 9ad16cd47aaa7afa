import type { FirstKey } from '../access/first-key.ts';
import { addressAt } from '../rpc/peer.ts';

export interface BannerFacts {
  readonly host: string;
  readonly port: number;
  /** The folder of the embedded database, where that is used. */
  readonly dataDir: string | undefined;
  readonly tls: boolean;
  /** Tells whether grpcurl finds the RPCs by itself. */
  readonly reflection: boolean;
  /** The administrator's key of the embedded database: where it is kept, and itself where it was made just now. */
  readonly firstKey: FirstKey | undefined;
  /** Tells whether a person sees it: a key does not belong into what is kept as a log. */
  readonly terminal: boolean;
}

/** The screen that greets whoever starts the service: where it is, where the data is, and what to try. */
export function banner(facts: BannerFacts): string {
  const { host, port, dataDir, tls } = facts;
  return [
    '',
    `  identity   listening on ${addressAt(host, port)} (gRPC, ${tls ? 'TLS' : 'plaintext'})`,
    `  data       ${dataDir === undefined ? 'PostgreSQL at DATABASE_URL' : `${dataDir} (embedded PostgreSQL)`}`,
    ...keyLines(facts),
    '',
    ...callsToTry(facts),
    '',
    '  Ctrl-C stops the service; the data stays.',
    '',
    '',
  ].join('\n');
}

function callsToTry({ host, port, tls, reflection, firstKey }: BannerFacts): string[] {
  if (!reflection) return ['  Reflection is off: with REFLECTION=true, grpcurl finds the RPCs by itself.'];
  const address = addressAt(host, port);
  const call = tls ? 'grpcurl' : 'grpcurl -plaintext';
  const key = firstKey ? ` -H "authorization: Bearer $(cat '${firstKey.file}')"` : ` -H "authorization: Bearer $API_KEY"`;
  const account = `"email":"first@example.com","password":"correct horse battery staple"`;
  return [
    '  Try:',
    `    ${call} ${address} list`,
    `    ${call}${key} -d '{${account}}' ${address} identity.v1.AuthService/Register`,
    `    ${call}${key} -d '{${account}}' ${address} identity.v1.AuthService/Login`,
  ];
}

function keyLines({ firstKey, terminal }: BannerFacts): string[] {
  if (!firstKey) return ['  API key    npm run admin -- create-service-account NAME --role admin'];
  const { file, key } = firstKey;
  return key === undefined || !terminal
    ? [`  API key    in ${file}`]
    : [`  API key    ${key}`, `             shown this once; kept in ${file}`];
}
