import { checkHealth } from './rpc/check-health.ts';

/** For a container's health check: exits 0 if the service of this machine is SERVING. */
const port = process.env.GRPC_PORT || '50051';
checkHealth(`127.0.0.1:${port}`, 2000).then(
  (serving) => process.exit(serving ? 0 : 1),
  () => process.exit(1),
);
