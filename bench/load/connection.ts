/** Where answers of a connection go. */
export interface Answers {
  /** The body is given only where it was asked for. */
  onAnswer(slot: number, body: Buffer | undefined): void;
  /** A wrong status, or the connection broke: nothing that goes on from here is worth measuring. */
  onFailure(reason: string): void;
}

/** A request that only has to be sent. */
export interface Connection {
  /** Takes up to `maxInFlight` requests at a time; they leave with the next `flush`. */
  send(slot: number, request: number): void;
  /** Another message in place of a part of a request: for chains, where each request needs what the one before was answered. */
  patch(request: number, offset: number, text: string): void;
  flush(): void;
  close(): void;
}

/** How to reach a contestant and what to ask it: encoded once, sent many times. */
export interface Target {
  readonly protocol: 'grpc' | 'http1';
  readonly port: number;
  /** gRPC: of every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** gRPC: messages; HTTP/1.1: requests, from the first line to the last byte. */
  readonly requests: readonly Uint8Array[];
  /** Every answer must contain this; without it, bodies are not looked at. */
  readonly bodyContains?: string;
}
