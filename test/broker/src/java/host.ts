/** Runs brokers as processes of this machine, in a temporary folder that is removed with them. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { BrokerHost } from '../cluster.js';
import { newClusterId } from '../cluster-id.js';
import { KafkaBrokerError } from '../errors.js';
import type { KafkaOptions } from '../options.js';
import { freePorts, portsFrom } from '../ports.js';
import { type NodePlan, serverSettings } from '../server-settings.js';
import { whenAll } from '../when-all.js';
import { prepareBroker } from './broker.js';
import { openRunFolder, type RunFolder } from './run-folder.js';
import { secureListener } from './secure-listener.js';
import { type JavaToolchain, javaToolchain } from './toolchain.js';

const HOST = 'localhost';

/** Prepares the brokers; none runs yet. */
export async function javaHost(options: KafkaOptions): Promise<BrokerHost> {
  const plans = await planNodes(options);
  const toolchain = await javaToolchain();
  const folder = await openRunFolder();
  try {
    return await prepareHost(toolchain, plans, folder, options);
  } catch (error) {
    await folder.close();
    throw error;
  }
}

async function planNodes({ nodes = 1, port }: KafkaOptions): Promise<NodePlan[]> {
  const clientPorts = port === undefined ? await freePorts(nodes) : await portsFrom(port, nodes);
  const taken = new Set(clientPorts);
  const others = (await freePorts(3 * nodes)).filter((free) => !taken.has(free));
  return clientPorts.map((client, i) => {
    const endpoints = {
      client: `${HOST}:${client}`,
      internal: `${HOST}:${others[2 * i]!}`,
      controller: `${HOST}:${others[2 * i + 1]!}`,
    };
    return { id: i + 1, bind: endpoints, reach: endpoints };
  });
}

async function prepareHost(
  toolchain: JavaToolchain,
  plans: readonly NodePlan[],
  folder: RunFolder,
  options: KafkaOptions,
): Promise<BrokerHost> {
  const data = options.directory === undefined ? join(folder.path, 'data') : resolve(options.directory);
  const identity = await clusterIdentity(data, plans.length, options.secure ?? false);
  const secure =
    identity.password === undefined
      ? undefined
      : await secureListener(
          toolchain.keytool,
          HOST,
          { password: identity.password, users: options.users ?? [] },
          folder.path,
        );
  const brokers = await whenAll(
    plans.map((plan) =>
      prepareBroker(toolchain, {
        id: plan.id,
        address: plan.reach.client,
        clusterId: identity.clusterId,
        settings: {
          ...serverSettings(plan, plans, secure ? 'SASL_SSL' : 'PLAINTEXT', options.settings ?? {}),
          ...secure?.settings,
        },
        dataFolder: join(data, `node-${plan.id}`),
        runFolder: join(folder.path, `node-${plan.id}`),
        scram: secure?.scram ?? [],
      }),
    ),
  );
  return {
    brokers,
    ...(secure && { security: secure.security }),
    remove: async () => {
      // Without a `directory` the data are thrown away, so brokers need not flush them.
      if (options.directory !== undefined) await Promise.all(brokers.map((broker) => broker.shutdown()));
      await Promise.all(brokers.map((broker) => broker.kill()));
      await folder.close();
    },
  };
}

interface ClusterIdentity {
  readonly clusterId: string;
  readonly nodes: number;
  /** The password of a secure cluster's user. */
  readonly password?: string;
}

/** Reads, or writes, who the cluster is: a file beside the data, which only a cluster of the same kind can go on with. */
async function clusterIdentity(folder: string, nodes: number, secure: boolean): Promise<ClusterIdentity> {
  const file = join(folder, 'cluster.json');
  await mkdir(folder, { recursive: true });
  const kept = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (kept === undefined) {
    const identity: ClusterIdentity = {
      clusterId: newClusterId(),
      nodes,
      ...(secure && { password: randomBytes(18).toString('base64url') }),
    };
    await writeFile(file, JSON.stringify(identity), { mode: 0o600 });
    return identity;
  }
  const identity = JSON.parse(kept) as ClusterIdentity;
  if (identity.nodes !== nodes || (identity.password !== undefined) !== secure) {
    throw new KafkaBrokerError(
      'KAFKA_BROKER_INVALID',
      `expected ${folder} to hold ${describe(nodes, secure)}, but it holds ${describe(identity.nodes, identity.password !== undefined)}: choose another directory`,
    );
  }
  return identity;
}

const describe = (nodes: number, secure: boolean) =>
  `the data of a ${secure ? 'secure ' : ''}cluster of ${nodes}`;
