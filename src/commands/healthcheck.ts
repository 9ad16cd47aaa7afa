import { checkHealth, loopbackCredentials } from '../rpc/check-health.ts';
import { addressAt } from '../rpc/peer.ts';

/** For a container's health check: exits 0 if the service of this machine is SERVING. */
const { GRPC_HOST = '', GRPC_PORT, TLS_CERT_FILE, TLS_KEY_FILE } = process.env;
/** A service that listens on all addresses is on this one as well. */
const host = ['', '0.0.0.0', '::'].includes(GRPC_HOST) ? '127.0.0.1' : GRPC_HOST;
checkHealth(addressAt(host, GRPC_PORT || '50051'), loopbackCredentials(TLS_CERT_FILE, TLS_KEY_FILE), 2000).then(
  (serving) => process.exit(serving ? 0 : 1),
  () => process.exit(1),
);
