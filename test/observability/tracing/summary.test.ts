import { describe, expect, it } from 'vitest';
import { summaryOf } from '../../../src/database/traced-statements.ts';

describe('the summary of a statement', () => {
  it.each([
    ['select "u0"."id" from "users" as "u0" where "u0"."email" = \'ada@example.com\'', 'select users'],
    ['insert into "audit_events" ("type") values (\'from "ada"\')', 'insert audit_events'],
    ['update "users" set "email" = \'a\' where id in (select id from sessions)', 'update users'],
    ['delete from mails where id = $1', 'delete mails'],
    ['begin', 'begin'],
    ['', 'statement'],
  ])('of %s is %s', (statement, summary) => {
    expect(summaryOf(statement)).toBe(summary);
  });

  it('looks at nothing that comes after a value', () => {
    expect(summaryOf(`select 'secret from ada' as x from users`)).toBe('select');
    expect(summaryOf(`select E'it\\'s from ada' from users`)).toBe('select');
    expect(summaryOf(`select $$ from ada $$ from users`)).not.toContain('ada');
  });
});
