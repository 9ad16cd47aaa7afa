// Loaded before a program of ours (node --import): writes the name of every package that is loaded, by import or by require, to the error output.
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';

const PACKAGE = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/;
const seen = new Set<string>();

registerHooks({
  load(url, context, next) {
    const name = PACKAGE.exec(url)?.[1];
    if (name !== undefined && !seen.has(name)) {
      seen.add(name);
      writeSync(2, `loaded ${name}\n`);
    }
    return next(url, context);
  },
});
