import { readdir, readFile } from 'node:fs/promises';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import { KNOWN_PERMISSIONS } from '../../src/access/roles/known-permissions.ts';
import { readAccess } from '../../src/rpc/access.ts';
import { DESCRIPTORS } from '../../src/rpc/descriptors.ts';
import { useService } from '../support/service.ts';

const service = useService();
const PROTOS = new URL('../../proto/identity/v1/', import.meta.url);
const ACCESS = readAccess(DESCRIPTORS);
const PERMISSIONS = new Set([...ACCESS.values()].map(({ permission }) => permission).filter((permission) => permission !== ''));

/** What no RPC asks for, but what a caller may have: to tell the address of an end user, to have mails sent to many. */
const WITHOUT_RPC = ['identity.clients.vouch', 'identity.mail.bulk'];

/** The comments over the RPCs, by path. */
async function commentsOfRpcs(): Promise<Map<string, string>> {
  const comments = new Map<string, string>();
  for (const file of await readdir(PROTOS)) {
    const text = await readFile(new URL(file, PROTOS), 'utf8');
    const serviceName = /^service (\w+) \{/m.exec(text)?.[1];
    for (const [, comment = '', name] of text.matchAll(/((?: {2}\/\/.*\n)+) {2}rpc (\w+)\(/g)) {
      comments.set(`/identity.v1.${serviceName}/${name}`, comment.replaceAll(/\s*\/\/\s*/g, ' '));
    }
  }
  return comments;
}

describe('the comment of an RPC', () => {
  test.each([...ACCESS])('%s names who may call it', async (path, { permission, selfPath, own }) => {
    const comment = (await commentsOfRpcs()).get(path) ?? '';
    const named = comment.match(/identity\.[a-z_]+\.[a-z_]+/g) ?? [];
    expect(named).toEqual(permission === '' ? [] : [permission]);
    expect(comment).toMatch(permission === '' ? /Needs no permission/ : /Needs\s+identity\./);
    expect(/users may /.test(comment)).toBe(own || selfPath.length > 0);
  });
});

describe('the list of permissions', () => {
  test('has what the RPCs ask for, and what code asks for, and nothing else', () => {
    expect([...KNOWN_PERMISSIONS.keys()].sort()).toEqual([...PERMISSIONS, ...WITHOUT_RPC].sort());
  });

  test('is the one of README, word by word', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    const told = [...readme.matchAll(/^\| `(identity\.[a-z_.]+)` \| (.+) \|$/gm)].map(([, name, description]) => [name, description]);
    expect(told).toEqual([...KNOWN_PERMISSIONS]);
  });

  test('is what ListPermissions tells, by name', async () => {
    const { permissions } = await service.roles.listPermissions({});
    expect(permissions).toEqual([...KNOWN_PERMISSIONS].map(([name, description]) => ({ name, description })));
    const names = permissions.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
  });
});

describe('the built-in roles', () => {
  const permissionsOf = async (name: string) => (await service.roles.getRole({ name })).role?.permissions ?? [];

  test('are admin, reader and service', async () => {
    const { roles } = await service.roles.listRoles({});
    expect(roles.filter(({ builtIn }) => builtIn).map(({ name }) => name)).toEqual(['admin', 'reader', 'service']);
  });

  test('admin has everything', async () => expect(await permissionsOf('admin')).toEqual(['*']));

  test.each(['reader', 'service'])('%s has only what an RPC asks for', async (name) => {
    const permissions = await permissionsOf(name);
    expect(permissions.length).toBeGreaterThan(0);
    expect(permissions.filter((permission) => ![...PERMISSIONS, ...WITHOUT_RPC].includes(permission))).toEqual([]);
  });

  test('reader sees everything and changes nothing', async () => {
    const reading = [...PERMISSIONS].filter((permission) => /\.(read|introspect)$/.test(permission)).sort();
    expect(await permissionsOf('reader')).toEqual(reading);
  });
});

describe('a start', () => {
  function without(change: (set: FileDescriptorSet) => void): Uint8Array {
    const set = fromBinary(FileDescriptorSetSchema, DESCRIPTORS);
    change(set);
    return toBinary(FileDescriptorSetSchema, set);
  }

  test.each([...ACCESS.keys()])('fails where %s does not say who may call it', (path) => {
    const [, serviceName = '', methodName = ''] = path.split('/');
    const descriptors = without(({ file }) => {
      const methods = file
        .flatMap((one) => one.service.filter(({ name }) => `${one.package}.${name}` === serviceName))
        .flatMap(({ method }) => method);
      for (const method of methods) if (method.name === methodName) delete method.options;
    });
    expect(() => readAccess(descriptors)).toThrow(`${serviceName}.${methodName} does not say who may call it`);
  });

  test('fails where the option itself is missing', () => {
    const descriptors = without((set) => {
      for (const file of set.file) file.extension = [];
    });
    expect(() => readAccess(descriptors)).toThrow('lack the option');
  });
});
