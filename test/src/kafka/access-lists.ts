/** The permissions that `infra/ACLS.md` lists, as a broker takes them. */
import { readFile } from 'node:fs/promises';
import kafkajs, { type AclEntry } from 'kafkajs';

const PAGE = new URL('../../../infra/ACLS.md', import.meta.url);
const COLUMNS = ['user', 'reads', 'writes', 'deletes records of', 'group', 'transactional ids'];

/** What one user may do: names without prefix. */
export interface Permissions {
  readonly user: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly deletes: readonly string[];
  readonly groups: readonly string[];
  readonly transactionalIds: readonly string[];
}

/** The rows of the page's table. @throws Error when it has no such table. */
export async function readPermissions(): Promise<Permissions[]> {
  const lines = (await readFile(PAGE, 'utf8')).split('\n');
  const header = lines.indexOf(`| ${COLUMNS.join(' | ')} |`);
  if (header < 0) throw new Error(`expected ${PAGE.pathname} to have a table of ${COLUMNS.join(', ')}`);
  const rows = lines.slice(header + 2);
  return rows.slice(0, rows.indexOf('')).map((row) => {
    const cells = row.split('|').slice(1, -1);
    const [user, reads, writes, deletes, groups, transactionalIds] = cells.map((cell) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
    );
    return {
      user: user![0]!,
      reads: reads!,
      writes: writes!,
      deletes: deletes!,
      groups: groups!,
      transactionalIds: transactionalIds!,
    };
  });
}

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
type Operation = keyof typeof AclOperationTypes;
type Resource = keyof typeof AclResourceTypes;
type Pattern = keyof typeof ResourcePatternTypes;

const allow = (user: string, operation: Operation, resource: Resource, name: string, pattern: Pattern) => ({
  principal: `User:${user}`,
  host: '*',
  permissionType: AclPermissionTypes.ALLOW,
  operation: AclOperationTypes[operation],
  resourceType: AclResourceTypes[resource],
  resourceName: name,
  resourcePatternType: ResourcePatternTypes[pattern],
});

export function accessListOf(permissions: Permissions, prefix: string): AclEntry[] {
  const { user, reads, writes, deletes, groups, transactionalIds } = permissions;
  return [
    allow(user, 'DESCRIBE', 'TOPIC', prefix, 'PREFIXED'),
    ...reads.map((topic) => allow(user, 'READ', 'TOPIC', prefix + topic, 'LITERAL')),
    ...writes.map((topic) => allow(user, 'WRITE', 'TOPIC', prefix + topic, 'LITERAL')),
    ...deletes.map((topic) => allow(user, 'DELETE', 'TOPIC', prefix + topic, 'LITERAL')),
    ...groups.map((group) => allow(user, 'READ', 'GROUP', prefix + group, 'LITERAL')),
    ...transactionalIds.map((id) => allow(user, 'WRITE', 'TRANSACTIONAL_ID', prefix + id, 'PREFIXED')),
  ];
}

/** The permissions of the user who provisions the topics. */
export const provisioning = (user: string, prefix: string): AclEntry[] =>
  (['DESCRIBE', 'CREATE', 'ALTER', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS'] as const).map((operation) =>
    allow(user, operation, 'TOPIC', prefix, 'PREFIXED'),
  );
