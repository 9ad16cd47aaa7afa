import type { Caller } from '../call/call.ts';
import type { Session as SessionMessage } from '../gen/identity/v1/session.ts';
import type { Session } from './session.entity.ts';

export function toSessionMessage(session: Session, caller: Caller): SessionMessage {
  return {
    id: session.id,
    userId: session.user.id,
    client: {
      ipAddress: session.ipAddress ?? '',
      userAgent: session.userAgent ?? '',
      deviceName: session.deviceName ?? '',
    },
    createTime: session.createdAt,
    lastActiveTime: session.lastActiveAt,
    expireTime: session.expiresAt,
    current: caller.kind === 'user' && caller.sessionId === session.id,
  };
}
