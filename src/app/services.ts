import { apiKeyService } from '../access/api-keys/api-key.rpc.ts';
import { requireMayActOn } from '../access/roles/grants.ts';
import { importRoles } from '../access/roles/import-roles.ts';
import { roleConstraints } from '../access/roles/role.errors.ts';
import { roleService } from '../access/roles/role.rpc.ts';
import { serviceAccountConstraints } from '../access/service-accounts/service-account.errors.ts';
import { serviceAccountService } from '../access/service-accounts/service-account.rpc.ts';
import { auditService } from '../audit/audit.rpc.ts';
import { RefusedCalls } from '../audit/refused-calls.ts';
import { emailChangeConstraints } from '../auth/auth.errors.ts';
import { authService } from '../auth/auth.rpc.ts';
import { endAllSessions, endCredentialsBy } from '../auth/credentials/credentials.ts';
import { revokeCredentialsRpc } from '../auth/credentials/revoke-credentials.rpc.ts';
import { Attempts } from '../auth/lockout/attempts.ts';
import { forgetAllFailures } from '../auth/lockout/forget-failures.ts';
import { problemOfHash } from '../auth/passwords/password-scheme.ts';
import { permissionsOverSelf } from '../call/authorize.ts';
import { createPageTokens } from '../call/page-token.ts';
import { callerIdentification } from '../callers/identify-caller.ts';
import type { Config } from '../config.ts';
import { SEALED_RECIPIENT } from '../mail/compose-mail.ts';
import { readAccess } from '../rpc/access.ts';
import { DESCRIPTORS } from '../rpc/descriptors.ts';
import type { Runtime } from '../rpc/runtime.ts';
import type { Service } from '../rpc/server.ts';
import { sessionService } from '../sessions/session.rpc.ts';
import { userConstraints } from '../users/user.errors.ts';
import { userService } from '../users/user.rpc.ts';
import { PERSONAL_DATA } from './personal-data.ts';
import type { Resources } from './resources.ts';

const ACCESS = readAccess(DESCRIPTORS);

/** The services of the API, each wired to what it needs. */
export function servicesOf(config: Config, resources: Resources): Service[] {
  const users = usersDeps(config, resources);
  return [
    userService(users),
    authService(authDeps(config, resources, users)),
    sessionService({ ...users, endAllSessions, sessionMaxAge: config.sessionMaxAge }),
    roleService(users),
    serviceAccountService(users),
    apiKeyService({
      ...users,
      apiKeys: resources.apiKeys,
      permissionsOverSelf: permissionsOverSelf(ACCESS),
      maxApiKeys: config.maxApiKeys,
    }),
    auditService(users),
  ];
}

/** The things that every call needs and no feature knows. */
export function runtimeOf({ metricsPort, reauthenticationMaxAge }: Config, resources: Resources): Runtime {
  const { orm, db, now, log, metrics, rateLimits, tracer } = resources;
  return {
    em: orm.em,
    db,
    now,
    log,
    constraints: { ...userConstraints, ...roleConstraints, ...serviceAccountConstraints, ...emailChangeConstraints },
    access: ACCESS,
    reauthenticationMaxAge,
    identify: callerIdentification(resources),
    limit: rateLimits.call,
    observe: metricsPort === undefined ? undefined : metrics.observeCall,
    tracer,
    refused: new RefusedCalls(orm.em, log).note,
  };
}

function usersDeps(config: Config, { now, passwords, secretKey, sealed, userLookup }: Resources) {
  return {
    now,
    userLookup,
    requiredProfileFields: config.requiredProfileFields,
    newPasswords: passwords,
    pageTokens: createPageTokens(secretKey),
    requireMayActOn,
    endCredentials: endCredentialsBy,
    revokeCredentials: revokeCredentialsRpc,
    forgetFailures: forgetAllFailures,
    personalData: PERSONAL_DATA,
    importRoles,
    problemOfForeignHash: problemOfHash,
    sealRecipient: (email: string) => sealed.seal(email, SEALED_RECIPIENT),
  };
}

function authDeps(config: Config, resources: Resources, users: ReturnType<typeof usersDeps>) {
  const { passwords, secretKey, oneTimeTokens, emailChanges, accessTokens, rateLimits, mailBounds, activity, introspection } = resources;
  return {
    ...users,
    passwords,
    attempts: new Attempts(config.lockout, secretKey),
    oneTimeTokens,
    emailChanges,
    accessTokens,
    refreshTtl: config.refresh.ttl,
    refreshGrace: config.refresh.grace,
    maxSessions: config.maxSessions,
    sessionMaxAge: config.sessionMaxAge,
    requireVerifiedEmail: config.requireVerifiedEmail,
    limitCredentials: rateLimits.credentials,
    boundRecipients: mailBounds.recipients,
    activity,
    introspection,
  };
}
