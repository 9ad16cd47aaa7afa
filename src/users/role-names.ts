/** The names of the roles of a user, sorted, as a part of a query; `userId` is the column that says which user. */
export const roleNamesOf = (userId: string): string =>
  `array(select r.name::text from user_roles ur join roles r on r.id = ur.role_id where ur.user_id = ${userId} order by r.name)`;
