import { createPageTokens } from '../../src/call/page-token.ts';
import { listUsersInput } from '../../src/users/list-users.ts';
import type { Scenario } from '../bench.ts';
import { BACKEND, type SeededDatabase, withClient } from '../database/postgres.ts';
import { RARE_NAME, ROLE } from '../database/seed.ts';
import { atMost, ratioGoal } from '../goal.ts';
import type { Measurement } from '../measurement.ts';
import { grpcTarget, LIST_USERS, type Listing, listUsersRequest, SECRET_KEY } from '../requests.ts';

const PAGE_SIZE = 50;
/** In every email. */
const COMMON_WORD = 'example.com';

type Six = [Measurement, Measurement, Measurement, Measurement, Measurement, Measurement];

/** Pages of many users: the last one, and filtered ones, against the first. */
export const listUsers: Scenario = {
  name: 'list-users',
  share: 16,
  run: async (bench) => {
    const database = await bench.many();
    const service = await bench.service(database);
    const listing = (name: string, request: Listing) => {
      const target = grpcTarget(service, LIST_USERS, [listUsersRequest(request)], database.apiKey);
      return bench.contestant(`ListUsers, ${name}`, service, { target, inFlight: 2 });
    };
    const measurements = await bench.interleave([
      await listing('first page', { pageSize: PAGE_SIZE }),
      await listing('last page', { pageSize: PAGE_SIZE, pageToken: await lastPageToken(database) }),
      await listing('by role', { pageSize: PAGE_SIZE, role: ROLE }),
      await listing('by a rare query', { pageSize: PAGE_SIZE, query: RARE_NAME }),
      await listing('by a common query', { pageSize: PAGE_SIZE, query: COMMON_WORD }),
      await listing('by verified', { pageSize: PAGE_SIZE, emailVerified: true }),
    ]);
    const [first, last, role, rare, common, verified] = measurements as Six;
    const of = `of ${database.users.toLocaleString('en')} users`;
    const goals = [
      // Throughput the other way round is what one costs in terms of the other.
      ratioGoal(`ListUsers ${of}, last page, cost in first pages`, atMost(1.3), 'perSecond', first, last),
      ratioGoal(`ListUsers ${of}, by role, cost in first pages`, atMost(3), 'perSecond', first, role),
      ratioGoal(`ListUsers ${of}, by a rare query, cost in first pages`, atMost(3), 'perSecond', first, rare),
      ratioGoal(`ListUsers ${of}, by a common query, cost in first pages`, atMost(3), 'perSecond', first, common),
      ratioGoal(`ListUsers ${of}, by verified, cost in first pages`, atMost(3), 'perSecond', first, verified),
    ];
    return { measurements, goals };
  },
};

/**
 * The token of the last full page. It is sealed here as the service seals it: to walk there page by page would take longer than all the
 * rest. Should the service seal in another way one day, it refuses this one, and the contestant fails.
 */
function lastPageToken({ url, users }: SeededDatabase): Promise<string> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ created_at: Date; id: string }>(
      'select created_at, id from users order by created_at desc, id desc offset $1 limit 1',
      [users - PAGE_SIZE - 1],
    );
    const [before] = rows;
    if (!before) throw new Error('there is no page before the last one');
    const { filter, orderBy } = listUsersInput.parse({ pageSize: PAGE_SIZE, pageToken: '', filter: { query: '', role: '' }, orderBy: '' });
    const scope = ['ListUsers', `service_account:${BACKEND}`, filter, orderBy];
    return createPageTokens(SECRET_KEY).seal([before.created_at.toISOString(), before.id], scope);
  });
}
