import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** An authority of its own, made with openssl in a folder of its own. */
export class Authority {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'identity-ca-'));
  readonly caFile = this.#file('ca.crt');

  constructor() {
    this.#openssl(['req', '-x509', ...NEW_KEY, '-days', '2', '-subj', '/CN=test CA', '-keyout', 'ca.key', '-out', 'ca.crt']);
  }

  get ca(): Buffer {
    return readFileSync(this.caFile);
  }

  /** A certificate for a DNS name, good for `days` from now; negative: expired. The common name says the same unless it is given. */
  sign(name: string, { days = 1, file = name, commonName = name } = {}): Certificate {
    this.#openssl(['req', ...NEW_KEY, '-subj', `/CN=${commonName}`, '-keyout', `${file}.key`, '-out', `${file}.csr`]);
    writeFileSync(this.#file(`${file}.ext`), `subjectAltName=DNS:${name},IP:127.0.0.1`);
    const authority = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
    this.#openssl([
      'x509',
      '-req',
      '-in',
      `${file}.csr`,
      ...authority,
      ...validity(days),
      '-extfile',
      `${file}.ext`,
      '-out',
      `${file}.crt`,
    ]);
    const [certFile, keyFile] = [this.#file(`${file}.crt`), this.#file(`${file}.key`)];
    return { certFile, keyFile, cert: readFileSync(certFile), key: readFileSync(keyFile) };
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }

  #openssl(args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#folder, stdio: 'pipe' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** `openssl x509 -days` takes negative numbers: the certificate has ended before it began. */
function validity(days: number): string[] {
  return ['-days', String(days)];
}
