/** The brokers' properties: https://kafka.apache.org/documentation/#brokerconfigs */

/** The addresses of one node, as host:port, for clients, for brokers and for controllers. */
interface Endpoints {
  readonly client: string;
  readonly internal: string;
  readonly controller: string;
}

export interface NodePlan {
  readonly id: number;
  /** The addresses it binds to. */
  readonly bind: Endpoints;
  /** The addresses that others reach it at. */
  readonly reach: Endpoints;
}

export type ServerSettings = Readonly<Record<string, string>>;

/** The settings of one node of `cluster`: a combined broker and controller that is up, and fails over, quickly. */
export function serverSettings(
  { id, bind, reach }: NodePlan,
  cluster: readonly NodePlan[],
  clientProtocol: 'PLAINTEXT' | 'SASL_SSL',
  more: ServerSettings,
): ServerSettings {
  const replicas = String(cluster.length);
  const inSync = String(Math.min(2, cluster.length));
  return {
    'node.id': String(id),
    'process.roles': 'broker,controller',
    'controller.quorum.voters': cluster.map((node) => `${node.id}@${node.reach.controller}`).join(),
    listeners: `CLIENT://${bind.client},INTERNAL://${bind.internal},CONTROLLER://${bind.controller}`,
    'advertised.listeners': `CLIENT://${reach.client},INTERNAL://${reach.internal}`,
    'listener.security.protocol.map': `CLIENT:${clientProtocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'inter.broker.listener.name': 'INTERNAL',
    'controller.listener.names': 'CONTROLLER',

    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,

    // Internal topics have as many partitions as there are nodes, so that each node coordinates something.
    'offsets.topic.num.partitions': replicas,
    'transaction.state.log.num.partitions': replicas,
    'share.coordinator.state.topic.num.partitions': replicas,
    'num.partitions': '1',
    'auto.create.topics.enable': 'false',

    // Groups form at once, and members may ask for short session timeouts.
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '500',
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000',
    // A killed node is replaced as leader, and leaves the replicas in sync, after this long.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',

    // The following fit a small machine.
    'log.cleaner.dedupe.buffer.size': '2097152',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'background.threads': '2',
    ...more,
  };
}

/** A Java properties file, ISO 8859-1: https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/Properties.html */
export function propertiesFile(settings: ServerSettings): string {
  const escaped = (value: string) =>
    value
      .replaceAll('\\', '\\\\')
      .replace(/^ /, '\\ ')
      .replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${escaped(value)}\n`)
    .join('');
}

/** The environment from which the image makes the same properties. */
export function imageEnvironment(settings: ServerSettings): Record<string, string> {
  const variable = (name: string) =>
    `KAFKA_${name.replaceAll('_', '__').replaceAll('-', '___').replaceAll('.', '_').toUpperCase()}`;
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [variable(name), value]));
}
