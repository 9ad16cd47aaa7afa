import { AuditLog, type Recorded } from '../audit/audit-log.ts';
import { type Orm, type OrmSettings, openOrm } from '../database/orm.ts';
import { ENTITIES } from './entities.ts';

/** The ORM with the tables of all rooms and the audit log of their units of work; `told` learns what that has written down. */
export function openServiceOrm(settings: Omit<OrmSettings, 'entities' | 'subscribers'>, told?: (recorded: Recorded) => void): Promise<Orm> {
  return openOrm({ ...settings, entities: ENTITIES, subscribers: [new AuditLog(told)] });
}
