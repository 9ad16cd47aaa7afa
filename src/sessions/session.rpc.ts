import { SessionServiceService } from '../gen/identity/v1/session_service.ts';
import { type Service, service } from '../rpc/server.ts';
import { rpc } from '../rpc/unary.ts';
import { type ListSessionsDeps, listSessions, listSessionsInput } from './list-sessions.ts';
import { type RevokeAllSessionsDeps, revokeAllSessions, revokeAllSessionsInput } from './revoke-all-sessions.ts';
import { revokeEverySession, revokeEverySessionInput } from './revoke-every-session.ts';
import { revokeSession, revokeSessionInput } from './revoke-session.ts';
import { toSessionMessage } from './session.mapper.ts';

export const sessionService = (deps: ListSessionsDeps & RevokeAllSessionsDeps): Service =>
  service(SessionServiceService, {
    listSessions: rpc(listSessionsInput, async (call, input) => {
      const { rows, nextPageToken } = await listSessions(call, deps, input);
      return { sessions: rows.map((session) => toSessionMessage(session, call.caller)), nextPageToken };
    }),
    revokeSession: rpc(revokeSessionInput, async (call, input) => {
      await revokeSession(call, input);
      return {};
    }),
    revokeAllSessions: rpc(revokeAllSessionsInput, async (call, input) => ({ revokedCount: await revokeAllSessions(call, deps, input) })),
    revokeEverySession: rpc(revokeEverySessionInput, async (call) => {
      await revokeEverySession(call);
      return {};
    }),
  });
