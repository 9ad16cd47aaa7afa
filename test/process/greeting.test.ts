import { describe, expect, it } from 'vitest';
import { banner } from '../../src/process/greeting.ts';

const FACTS = { host: '0.0.0.0', port: 50051, tls: false, reflection: true, dataDir: undefined, firstKey: undefined };

describe('the screen that greets', () => {
  it('offers calls to try', () => {
    expect(banner(FACTS)).toContain('grpcurl -plaintext 0.0.0.0:50051 list\n');
  });

  it('names an IPv6 address as grpcurl takes it', () => {
    expect(banner({ ...FACTS, host: '::1' })).toContain('grpcurl -plaintext [::1]:50051 list\n');
  });

  it('offers none that cannot succeed, where reflection is off, and says how to switch it on', () => {
    const lines = banner({ ...FACTS, reflection: false });
    expect(lines).not.toContain('grpcurl -');
    expect(lines).toContain('REFLECTION=true');
  });
});
