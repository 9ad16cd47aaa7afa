import { setTimeout as sleep } from 'node:timers/promises';
import { credentials, Metadata, status } from '@grpc/grpc-js';
import type { LoginRequest } from '../../src/gen/identity/v1/auth_service.ts';
import { AuthServiceClient } from '../../src/gen/identity/v1/auth_service.ts';

/** People who log in at a pace of their own, whether those before them were answered or not. */
export interface PacedLogins {
  readonly perSecond: number;
  readonly next: (number: number) => Pick<LoginRequest, 'email' | 'password' | 'client'>;
}

/** How one login ended. */
export interface PacedLogin {
  readonly code: string;
  readonly ms: number;
}

export class LoginClient {
  readonly #client: AuthServiceClient;
  readonly #metadata = new Metadata();
  readonly #deadlineMs: number;

  constructor(port: number, apiKey: string, deadlineMs: number) {
    this.#client = new AuthServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
    this.#metadata.set('authorization', `Bearer ${apiKey}`);
    this.#deadlineMs = deadlineMs;
  }

  /** Begins logins until `ending`, then waits for their answers. */
  async run({ perSecond, next }: PacedLogins, ending: AbortSignal): Promise<PacedLogin[]> {
    const logins: Promise<PacedLogin>[] = [];
    const begun = performance.now();
    while (!ending.aborted) {
      logins.push(this.#logIn(next(logins.length)));
      const pauseMs = begun + (logins.length * 1000) / perSecond - performance.now();
      await sleep(Math.max(0, pauseMs), undefined, { signal: ending }).catch(() => undefined);
    }
    return Promise.all(logins);
  }

  close(): void {
    this.#client.close();
  }

  #logIn(request: Pick<LoginRequest, 'email' | 'password' | 'client'>): Promise<PacedLogin> {
    const begun = performance.now();
    return new Promise((resolve) => {
      const answered = (code: string) => resolve({ code, ms: performance.now() - begun });
      const deadline = Date.now() + this.#deadlineMs;
      this.#client.login({ ...request, username: undefined }, this.#metadata, { deadline }, (error) =>
        answered(error ? `${status[error.code]}` : 'OK'),
      );
    });
  }
}
