import { describe, expect, it } from 'vitest';
import { banner } from '../../src/process/greeting.ts';

const FACTS = { host: '0.0.0.0', port: 50051, tls: false, reflection: true, dataDir: undefined, firstKey: undefined, terminal: true };

describe('the screen that greets', () => {
  it('offers calls to try', () => {
    expect(banner(FACTS)).toContain('grpcurl -plaintext 0.0.0.0:50051 list\n');
  });

  it('names an IPv6 address as grpcurl takes it', () => {
    expect(banner({ ...FACTS, host: '::1' })).toContain('grpcurl -plaintext [::1]:50051 list\n');
  });

  it('shows the key that was made just now to a terminal, and to nothing that is kept', () => {
    const firstKey = { file: '/data/admin.key', key: 'idk_secret' };
    expect(banner({ ...FACTS, firstKey })).toContain('idk_secret');
    const kept = banner({ ...FACTS, firstKey, terminal: false });
    expect(kept).not.toContain('idk_secret');
    expect(kept).toContain('in /data/admin.key');
  });

  it('offers none that cannot succeed, where reflection is off, and says how to switch it on', () => {
    const lines = banner({ ...FACTS, reflection: false });
    expect(lines).not.toContain('grpcurl -');
    expect(lines).toContain('REFLECTION=true');
  });
});
