import { describe, expect, it } from 'vitest';
import { AUDIT_EVENT_TYPES } from '../../src/audit/audit-event-types.ts';
import { ELEMENTS } from '../proto/elements.ts';

describe('the list of audit event types', () => {
  it('is the one that the proto tells callers, word by word', () => {
    const comment = ELEMENTS.find(({ fullName }) => fullName === 'identity.v1.AuditEvent.type')?.comment ?? '';
    const told = [...comment.matchAll(/- "([\w.]+)": (.+?\.)(?= - "|\s*$)/g)].map(([, type, description]) => [type, description]);
    expect(told).toEqual(Object.entries(AUDIT_EVENT_TYPES).map(([type, { description }]) => [type, description]));
  });
});
