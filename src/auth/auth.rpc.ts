import { when } from '../concurrency/awaitable.ts';
import { AuthServiceService } from '../gen/identity/v1/auth_service.ts';
import { type Service, service } from '../rpc/server.ts';
import { rpc } from '../rpc/unary.ts';
import { toUserMessage } from '../users/user.mapper.ts';
import { viewOf } from '../users/user-view.ts';
import { toCallerMessage, toTokensMessage } from './auth.mapper.ts';
import { type ChangePasswordDeps, changePassword, changePasswordInput } from './change-password.ts';
import { type CheckPasswordDeps, checkPassword, checkPasswordInput } from './check-password.ts';
import { type ConfirmEmailChangeDeps, confirmEmailChange, confirmEmailChangeInput } from './email-change/confirm-email-change.ts';
import { type RequestEmailChangeDeps, requestEmailChange, requestEmailChangeInput } from './email-change/request-email-change.ts';
import { type RevertEmailChangeDeps, revertEmailChange, revertEmailChangeInput } from './email-change/revert-email-change.ts';
import { getCaller, getCallerInput } from './get-caller.ts';
import { getPasswordPolicy, getPasswordPolicyInput } from './get-password-policy.ts';
import { type IntrospectTokenDeps, introspectToken, introspectTokenInput } from './introspection/introspect-token.ts';
import { EncodedIntrospections } from './introspection/introspection.mapper.ts';
import { type LoginDeps, login, loginInput } from './login.ts';
import { type LoginWithCodeDeps, loginWithCode, loginWithCodeInput } from './login-with-code.ts';
import { logout, logoutInput } from './logout.ts';
import { toCheckMessage, toPolicyMessage } from './password.mapper.ts';
import { type ReauthenticateDeps, reauthenticate, reauthenticateInput } from './reauthenticate.ts';
import { type RefreshTokenDeps, refreshToken, refreshTokenInput } from './refresh-token.ts';
import { type RegisterDeps, register, registerInput } from './register.ts';
import { requestByMailInput, requestEmailVerification, requestLoginCode, requestPasswordReset } from './request-by-mail.ts';
import { type ResetPasswordDeps, resetPassword, resetPasswordInput } from './reset-password.ts';
import { type VerifyEmailDeps, verifyEmail, verifyEmailInput } from './verify-email.ts';

export type AuthDeps = RegisterDeps &
  LoginDeps &
  RefreshTokenDeps &
  IntrospectTokenDeps &
  ChangePasswordDeps &
  CheckPasswordDeps &
  LoginWithCodeDeps &
  ReauthenticateDeps &
  ResetPasswordDeps &
  VerifyEmailDeps &
  RequestEmailChangeDeps &
  ConfirmEmailChangeDeps &
  RevertEmailChangeDeps;

export function authService(deps: AuthDeps): Service {
  const introspections = new EncodedIntrospections();
  return service(AuthServiceService, {
    register: rpc(registerInput(deps), async (call, input) => ({ user: toUserMessage(await register(call, deps, input)) })),
    login: rpc(loginInput, async (call, input) => ({ tokens: toTokensMessage(await login(call, deps, input)) })),
    refreshToken: rpc(refreshTokenInput, async (call, input) => ({ tokens: toTokensMessage(await refreshToken(call, deps, input)) })),
    logout: rpc(logoutInput, async (call, input) => {
      await logout(call, input);
      return {};
    }),
    introspectToken: rpc(introspectTokenInput, (call, input) =>
      when(introspectToken(deps, input), (introspection) => introspections.of(introspection, call.now())),
    ),
    changePassword: rpc(changePasswordInput(deps), async (call, input) => {
      await changePassword(call, deps, input);
      return {};
    }),
    getPasswordPolicy: rpc(getPasswordPolicyInput, async () => ({ policy: toPolicyMessage(getPasswordPolicy(deps)) })),
    checkPassword: rpc(checkPasswordInput, async (call, input) => toCheckMessage(await checkPassword(call, deps, input))),
    requestEmailVerification: rpc(requestByMailInput, async (call, input) => {
      await requestEmailVerification(call, deps, input);
      return {};
    }),
    verifyEmail: rpc(verifyEmailInput, async (call, input) => ({ user: toUserMessage(viewOf(await verifyEmail(call, deps, input))) })),
    requestEmailChange: rpc(requestEmailChangeInput, async (call, input) => {
      await requestEmailChange(call, deps, input);
      return {};
    }),
    confirmEmailChange: rpc(confirmEmailChangeInput, async (call, input) => ({
      user: toUserMessage(viewOf(await confirmEmailChange(call, deps, input))),
    })),
    revertEmailChange: rpc(revertEmailChangeInput, async (call, input) => ({
      user: toUserMessage(viewOf(await revertEmailChange(call, deps, input))),
    })),
    requestPasswordReset: rpc(requestByMailInput, async (call, input) => {
      await requestPasswordReset(call, deps, input);
      return {};
    }),
    resetPassword: rpc(resetPasswordInput, async (call, input) => {
      await resetPassword(call, deps, input);
      return {};
    }),
    requestLoginCode: rpc(requestByMailInput, async (call, input) => {
      await requestLoginCode(call, deps, input);
      return {};
    }),
    loginWithCode: rpc(loginWithCodeInput, async (call, input) => ({ tokens: toTokensMessage(await loginWithCode(call, deps, input)) })),
    reauthenticate: rpc(reauthenticateInput, async (call, input) => ({ tokens: toTokensMessage(await reauthenticate(call, deps, input)) })),
    getCaller: rpc(getCallerInput, async (call) => toCallerMessage(getCaller(call))),
  });
}
