import type { Scenario } from '../bench.ts';
import { cluster } from './cluster.ts';
import { fairLogins } from './fair-logins.ts';
import { getUser } from './get-user.ts';
import { growth } from './growth.ts';
import { introspect } from './introspect.ts';
import { listUsers } from './list-users.ts';
import { login } from './login.ts';
import { memory } from './memory.ts';
import { peer } from './peer.ts';
import { refresh } from './refresh.ts';
import { saturation } from './saturation.ts';
import { start } from './start.ts';

/** In the order of the report. */
export const SCENARIOS: readonly Scenario[] = [
  introspect,
  getUser,
  refresh,
  login,
  saturation,
  fairLogins,
  cluster,
  listUsers,
  growth,
  memory,
  start,
  peer,
];
