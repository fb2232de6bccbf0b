/** Runs brokers as containers, in a network of their own. */
import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import {
  type ContainerRuntimeClient,
  GenericContainer,
  getContainerRuntimeClient,
  StartupCheckStrategy,
  type StartupStatus,
} from 'testcontainers';
import { runInBackground } from '../background.js';
import type { BrokerHost, HostedBroker } from '../cluster.js';
import { newClusterId } from '../cluster-id.js';
import { KafkaBrokerError } from '../errors.js';
import type { KafkaOptions } from '../options.js';
import { freePorts, portsFrom } from '../ports.js';
import { imageEnvironment, type NodePlan, type ServerSettings, serverSettings } from '../server-settings.js';
import { KAFKA_IMAGE } from './engine.js';
import { type DockerNames, removeFromDocker } from './remove.js';

const CLIENT_PORT = 9092;
const CONTROLLER_PORT = 9093;
const INTERNAL_PORT = 19092;
const LOG_TAIL_LINES = 40;
const GUARD = fileURLToPath(new URL('./guard.child.js', import.meta.url));
const KILL_TIMEOUT_MS = 20_000;
const GUARD_TIMEOUT_MS = 10_000;

/** Prepares the brokers, for which a Docker engine must answer; none runs yet. */
export async function dockerHost({ nodes = 1, port, settings = {} }: KafkaOptions): Promise<BrokerHost> {
  const client = await getContainerRuntimeClient();
  const ports = port === undefined ? await freePorts(nodes) : await portsFrom(port, nodes);
  const name = `rlhf-streams-kafka-${randomBytes(6).toString('hex')}`;
  const plans = ports.map((hostPort, i) =>
    planNode(i + 1, `${client.info.containerRuntime.host}:${hostPort}`),
  );
  const names: DockerNames = { network: name, containers: plans.map(({ id }) => `${name}-${id}`) };

  const guard = await runInBackground(process.execPath, [GUARD, JSON.stringify(names)], { stdin: 'pipe' });
  const remove = async () => {
    await removeFromDocker(names);
    guard.kill('SIGKILL');
    await guard.ended(GUARD_TIMEOUT_MS);
  };
  try {
    await client.network.create({ Name: name });
    const clusterId = newClusterId();
    const brokers = plans.map((plan, i) =>
      containerBroker(client, {
        plan,
        network: name,
        name: names.containers[i]!,
        hostPort: ports[i]!,
        clusterId,
        settings: serverSettings(plan, plans, 'PLAINTEXT', settings),
      }),
    );
    return { brokers, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

const alias = (id: number) => `kafka-${id}`;

const planNode = (id: number, address: string): NodePlan => ({
  id,
  bind: { client: `:${CLIENT_PORT}`, internal: `:${INTERNAL_PORT}`, controller: `:${CONTROLLER_PORT}` },
  reach: {
    client: address,
    internal: `${alias(id)}:${INTERNAL_PORT}`,
    controller: `${alias(id)}:${CONTROLLER_PORT}`,
  },
});

interface ContainerPlan {
  readonly plan: NodePlan;
  readonly name: string;
  readonly network: string;
  readonly hostPort: number;
  readonly clusterId: string;
  readonly settings: ServerSettings;
}

function containerBroker(client: ContainerRuntimeClient, spec: ContainerPlan): HostedBroker {
  const container = client.container.getById(spec.name);
  let created = false;
  const running = async () => created && (await container.inspect()).State.Running;
  return {
    id: spec.plan.id,
    address: spec.plan.reach.client,
    running,
    launch: async () => {
      if (created) return container.start();
      await createContainer(spec).catch((cause: Error) => {
        const message = `expected Docker to start ${spec.name}, but: ${cause.message}`;
        throw new KafkaBrokerError('KAFKA_BROKER_FAILED', message, { cause });
      });
      created = true;
    },
    kill: async () => {
      if (!(await running())) return;
      await container.kill({ signal: 'SIGKILL' });
      await container.wait({ abortSignal: AbortSignal.timeout(KILL_TIMEOUT_MS) });
    },
    log: async () => text(await client.container.logs(container, { tail: LOG_TAIL_LINES })),
  };
}

async function createContainer({ plan, name, network, hostPort, clusterId, settings }: ContainerPlan) {
  await new GenericContainer(KAFKA_IMAGE)
    .withName(name)
    .withNetworkMode(network)
    .withNetworkAliases(alias(plan.id))
    .withExposedPorts({ container: CLIENT_PORT, host: hostPort })
    .withEnvironment({
      ...imageEnvironment(settings),
      CLUSTER_ID: clusterId,
      KAFKA_HEAP_OPTS: '-Xmx384m',
    })
    // The guard cleans up, because testcontainers' own helper is an image that may be out of reach.
    .withAutoCleanup(false)
    .withWaitStrategy(new Launched())
    .start();
}

/** Waits for nothing: whether nodes answer is asked when all are launched, because each needs the others. */
class Launched extends StartupCheckStrategy {
  override async checkStartupState(): Promise<StartupStatus> {
    return 'SUCCESS';
  }
}
