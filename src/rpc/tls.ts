import { experimental, ServerCredentials } from '@grpc/grpc-js';
import type { TlsFiles } from './grpc-settings.ts';

/** In which a renewed certificate is noticed. */
const REFRESH_MS = 1000;

/**
 * TLS 1.2 and newer (Node's default), with certificates that are read again when their files change: new connections get the new one, those
 * that are open go on undisturbed.
 */
export function serverCredentials(tls: TlsFiles | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const { certFile, keyFile, clientCaFile } = tls;
  const files = new experimental.FileWatcherCertificateProvider({
    certificateFile: certFile,
    privateKeyFile: keyFile,
    caCertificateFile: clientCaFile,
    refreshIntervalMs: REFRESH_MS,
  });
  // The typings name the first two parameters the other way round than the code takes them: identity first, then authority.
  return experimental.createCertificateProviderServerCredentials(
    files,
    clientCaFile === undefined ? null : files,
    clientCaFile !== undefined,
  );
}
