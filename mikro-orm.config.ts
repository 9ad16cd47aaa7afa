import { ENTITIES } from './src/app/orm.ts';
import { ormOptions } from './src/database/orm.ts';

/** For `npx mikro-orm …`; the scripts `npm run db:*` do not need it. */
export default ormOptions({
  url: process.env.DATABASE_URL ?? 'postgresql://identity@127.0.0.1/identity',
  entities: ENTITIES,
  patient: true,
  writeSnapshot: true,
});
