export interface BannerFacts {
  readonly host: string;
  readonly port: number;
  /** The folder of the embedded database, where that is used. */
  readonly dataDir: string | undefined;
}

/** The screen that greets whoever starts the service: where it is, where the data is, and what to try. */
export function banner({ host, port, dataDir }: BannerFacts): string {
  const address = `${host}:${port}`;
  const call = `grpcurl -plaintext`;
  const account = `"email":"ada@example.com","password":"correct horse battery staple"`;
  return [
    '',
    `  identity   listening on ${address} (gRPC, plaintext)`,
    `  data       ${dataDir === undefined ? 'PostgreSQL at DATABASE_URL' : `${dataDir} (embedded PostgreSQL)`}`,
    '',
    '  Try:',
    `    ${call} ${address} list`,
    `    ${call} -d '{${account}}' ${address} identity.v1.AuthService/Register`,
    `    ${call} -d '{${account}}' ${address} identity.v1.AuthService/Login`,
    '',
    '  Ctrl-C stops the service; the data stays.',
    '',
    '',
  ].join('\n');
}
