import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const SOURCES = path.join(ROOT, 'src');
const linesOf = (file: string) => readFileSync(path.join(ROOT, file), 'utf8').split('\n');

/** What COPY takes from the checkout. */
const copied = linesOf('Dockerfile').flatMap((line) => /^COPY (?!--from)(?:--\S+ )*(.+) \S+$/.exec(line)?.[1]?.split(' ') ?? []);

/** What a source file finds beside `src`, by its own place. */
function readBeside(file: string): string[] {
  const outOfSources = '../'.repeat(file.split(path.sep).length);
  const lines = linesOf(path.join('src', file)).filter((line) => line.includes('import.meta'));
  return lines.flatMap((line) => line.split(`'${outOfSources}`)[1]?.match(/^[^/']+/) ?? []);
}

describe('the Dockerfile', () => {
  it('copies only what is there, and what .dockerignore lets in', () => {
    expect(copied).not.toEqual([]);
    const [everything, ...letIn] = linesOf('.dockerignore').filter(Boolean);
    expect(everything).toBe('*');
    for (const file of copied) {
      expect(existsSync(path.join(ROOT, file)), file).toBe(true);
      expect(letIn).toContain(`!${file}`);
    }
  });

  it('copies all that the service reads beside its sources', () => {
    const sources = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const read = new Set(sources.flatMap(readBeside));
    // Installed, and not copied.
    read.delete('node_modules');
    expect([...read]).toEqual(expect.arrayContaining(['migrations', 'templates']));
    expect(copied).toEqual(expect.arrayContaining([...read]));
  });

  it('has the very Node that is tested', () => {
    const { devDependencies } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { devDependencies: { node: string } };
    expect(devDependencies.node).toBe(process.versions.node);
    expect(linesOf('Dockerfile')).toContain(`ARG NODE=node:${devDependencies.node}-slim`);
    for (const line of linesOf('Dockerfile').filter((it) => it.startsWith('FROM '))) expect(line).toMatch(/^FROM \$\{NODE\}/);
  });
});
