import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

/** Holds the protos against Google's api-linter, where it is installed: it is no npm package. Exceptions are in proto/api-linter.yaml. */
const files = globSync('identity/**/*.proto', { cwd: 'proto' }).sort();
const options = ['--config', 'proto/api-linter.yaml', '--proto-path', 'proto', '--set-exit-status'];

const { error, status, stdout } = spawnSync('api-linter', [...options, ...files], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
});
if (error && 'code' in error && error.code === 'ENOENT') {
  process.stdout.write('Not checked: api-linter is not on the PATH.\n');
} else if (error) {
  throw error;
} else if (status === 0) {
  process.stdout.write(`api-linter: ${files.length} files, 0 problems.\n`);
} else {
  process.stdout.write(stdout);
  process.exitCode = 1;
}
