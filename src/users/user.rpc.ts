import { type RevokeCredentialsRequest, type RevokeCredentialsResponse, UserServiceService } from '../gen/identity/v1/user_service.ts';
import { type Service, service } from '../rpc/server.ts';
import { type Rpc, rpc } from '../rpc/unary.ts';
import { batchGetUsers, batchGetUsersInput } from './batch-get-users.ts';
import { type CreateUserDeps, createUser, createUserInput } from './create-user.ts';
import { type DeactivateUserDeps, deactivateUser, deactivateUserInput } from './deactivate-user.ts';
import { type DeleteUserDeps, deleteUser, deleteUserInput } from './delete-user.ts';
import { type ExportUserDeps, exportUser, exportUserInput } from './export-user.ts';
import { type GetUserDeps, getUser, getUserInput } from './get-user.ts';
import { type ImportUsersDeps, importUsers } from './import-users.ts';
import { type ListUsersDeps, listUsers, listUsersInput } from './list-users.ts';
import { lookupUser, lookupUserInput } from './lookup-user.ts';
import { reactivateUser, reactivateUserInput } from './reactivate-user.ts';
import { type UnlockUserDeps, unlockUser, unlockUserInput } from './unlock-user.ts';
import { updateUser, updateUserInput } from './update-user.ts';
import type { User } from './user.entity.ts';
import { toExportMessage, toReceiptMessage, toRowAnswerMessage, toUserMessage } from './user.mapper.ts';
import { viewOf } from './user-view.ts';

export type UserDeps = GetUserDeps &
  CreateUserDeps &
  ListUsersDeps &
  DeactivateUserDeps &
  UnlockUserDeps &
  DeleteUserDeps &
  ExportUserDeps &
  ImportUsersDeps & {
    /** Answered by `auth`, which knows all kinds of credentials. */
    readonly revokeCredentials: Rpc<RevokeCredentialsRequest, RevokeCredentialsResponse>;
  };

const withUser = async (user: Promise<User>) => ({ user: toUserMessage(viewOf(await user)) });

export const userService = (deps: UserDeps): Service =>
  service(UserServiceService, {
    createUser: rpc(createUserInput(deps), async (call, input) => ({ user: toUserMessage(await createUser(call, deps, input)) })),
    getUser: rpc(getUserInput, async (_call, input) => ({ user: toUserMessage(await getUser(deps, input)) })),
    batchGetUsers: rpc(batchGetUsersInput, async (_call, input) => {
      const { users, missing } = await batchGetUsers(deps, input);
      return { users: users.map(toUserMessage), missingUserIds: missing };
    }),
    lookupUser: rpc(lookupUserInput, (call, input) => withUser(lookupUser(call, input))),
    listUsers: rpc(listUsersInput, async (call, input) => {
      const { users, nextPageToken } = await listUsers(call, deps, input);
      return { users: users.map(toUserMessage), nextPageToken };
    }),
    updateUser: rpc(updateUserInput, (call, input) => withUser(updateUser(call, deps, input))),
    deactivateUser: rpc(deactivateUserInput, (call, input) => withUser(deactivateUser(call, deps, input))),
    reactivateUser: rpc(reactivateUserInput, (call, input) => withUser(reactivateUser(call, deps, input))),
    unlockUser: rpc(unlockUserInput, (call, input) => withUser(unlockUser(call, deps, input))),
    revokeCredentials: deps.revokeCredentials,
    deleteUser: rpc(deleteUserInput, async (call, input) => ({ receipt: toReceiptMessage(await deleteUser(call, deps, input)) })),
    exportUser: rpc(exportUserInput, async (call, input) => toExportMessage(await exportUser(call, deps, input))),
    importUsers: {
      async *stream(call, rows) {
        for await (const answer of importUsers(call, deps, rows)) yield toRowAnswerMessage(answer);
      },
    },
  });
