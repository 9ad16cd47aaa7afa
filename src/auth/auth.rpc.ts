import { AuthServiceService } from '../gen/identity/v1/auth_service.ts';
import { type Service, service } from '../rpc/server.ts';
import { rpc } from '../rpc/unary.ts';
import { toUserMessage } from '../users/user.mapper.ts';
import { toCallerMessage, toIntrospection, toTokensMessage } from './auth.mapper.ts';
import { type ChangePasswordDeps, changePassword, changePasswordInput } from './change-password.ts';
import { getCaller, getCallerInput } from './get-caller.ts';
import { type IntrospectTokenDeps, introspectToken, introspectTokenInput } from './introspect-token.ts';
import { type LoginDeps, login, loginInput } from './login.ts';
import { logout, logoutInput } from './logout.ts';
import { type RefreshTokenDeps, refreshToken, refreshTokenInput } from './refresh-token.ts';
import { type RegisterDeps, register, registerInput } from './register.ts';

export type AuthDeps = RegisterDeps & LoginDeps & RefreshTokenDeps & IntrospectTokenDeps & ChangePasswordDeps;

export const authService = (deps: AuthDeps): Service =>
  service(AuthServiceService, {
    register: rpc(registerInput(deps), async (call, input) => ({ user: toUserMessage(await register(call, deps, input)) })),
    login: rpc(loginInput, async (call, input) => ({ tokens: toTokensMessage(await login(call, deps, input)) })),
    refreshToken: rpc(refreshTokenInput, async (call, input) => ({ tokens: toTokensMessage(await refreshToken(call, deps, input)) })),
    logout: rpc(logoutInput, async (call, input) => {
      await logout(call, input);
      return {};
    }),
    introspectToken: rpc(introspectTokenInput, async (call, input) =>
      toIntrospection(await introspectToken(call, deps, input), call.now()),
    ),
    changePassword: rpc(changePasswordInput(deps), async (call, input) => {
      await changePassword(call, deps, input);
      return {};
    }),
    getCaller: rpc(getCallerInput, async (call) => toCallerMessage(getCaller(call))),
  });
