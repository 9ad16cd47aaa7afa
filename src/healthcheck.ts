import { checkHealth, loopbackCredentials } from './rpc/check-health.ts';

/** For a container's health check: exits 0 if the service of this machine is SERVING. */
const { GRPC_PORT, TLS_CERT_FILE, TLS_KEY_FILE } = process.env;
const address = `127.0.0.1:${GRPC_PORT || '50051'}`;
checkHealth(address, loopbackCredentials(TLS_CERT_FILE, TLS_KEY_FILE), 2000).then(
  (serving) => process.exit(serving ? 0 : 1),
  () => process.exit(1),
);
