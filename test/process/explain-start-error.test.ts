import { describe, expect, it } from 'vitest';
import { InUseError } from '../../src/database/embedded/embedded-postgres.ts';
import { SchemaBehindError } from '../../src/database/migrations.ts';
import { DatabaseUnusableError } from '../../src/database/require-database.ts';
import { WorkerStartError } from '../../src/process/cluster/worker-process.ts';
import { explain } from '../../src/process/explain-start-error.ts';
import { ConfigError, ListenError } from '../../src/settings/start-error.ts';

const CAUSE = new Error('in use');

describe('a start that has failed', () => {
  it.each([
    new ConfigError(['GRPC_PORT must be a whole number']),
    new ListenError('127.0.0.1:1', CAUSE),
    new DatabaseUnusableError(CAUSE),
    new SchemaBehindError(['Migration1']),
    new WorkerStartError('A worker ended with code 1 before it listened'),
    new InUseError('Another identity service is already using .data'),
  ])('says the message of $name, and no stack', (error) => {
    expect(error.name).toBe(error.constructor.name);
    expect(explain(error)).toBe(error.message);
  });

  it('says the message of an error of the system', () => {
    const error = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
    expect(explain(error)).toBe('EACCES: permission denied');
    expect(explain(new Error('no data', { cause: error }))).toBe('no data');
  });

  it('shows the stack of a defect', () => {
    const error = new TypeError('undefined is not a function');
    expect(explain(error)).toBe(error.stack);
    expect(explain('thrown text')).toBe('thrown text');
  });

  it('says both where its end has failed, too', () => {
    expect(explain(new SuppressedError(new ListenError('b', CAUSE), new ListenError('a', CAUSE)))).toBe(
      'Cannot listen on a: in use\nCannot listen on b: in use',
    );
  });
});
