/** What this client knows of a cluster: its brokers, the leaders of partitions, the coordinators of groups and producers. */
import type { Socket } from 'node:net';
import { LogError } from '@rlhf-streams/log';
import BrokerClass from 'kafkajs/src/broker/index.js';
import loggers from 'kafkajs/src/loggers/index.js';
import ConnectionPool, { type SocketDestination } from 'kafkajs/src/network/connectionPool.js';
import protocolErrors from 'kafkajs/src/protocol/error.js';
import type { KafkaSettings } from '../options.js';
import { faultOf } from './errors.js';
import type { Broker, ClusterMetadata, PartitionMetadata } from './protocol.js';
import { metadata } from './requests.js';
import { saslLogin } from './sasl.js';

type Coordinator = 'group' | 'transaction';

/** Each method makes one attempt, and throws what hinders it. */
export interface Cluster {
  /** Any broker that answers. */
  any(): Promise<Broker>;
  broker(nodeId: number): Promise<Broker>;
  controller(): Promise<Broker>;
  coordinator(type: Coordinator, id: string): Promise<Broker>;
  /** Every broker there is now. */
  brokers(): Promise<Broker[]>;
  /**
   * The partitions of a topic, none if it does not exist. The answer may be `metadataMaxAgeMs` old, or twice that while a
   * newer one is under way.
   */
  partitions(topic: string): Promise<readonly PartitionMetadata[]>;
  /** The partitions of topics as they are now. Topics that do not exist are left out. */
  describe(topics: readonly string[]): Promise<Map<string, readonly PartitionMetadata[]>>;
  /** Drops what `error` says may be out of date, so that it is asked for anew. */
  forget(error: unknown): void;
  /** Requests under way fail. */
  close(): void;
}

const COORDINATOR_TYPES: Readonly<Record<Coordinator, number>> = { group: 0, transaction: 1 };
const UNKNOWN_TOPIC = 3;
const LEADER_NOT_AVAILABLE = 5;
const LOG_EVERYTHING = 5;
const LOG_NOTHING = 0;
const CONNECTION_TIMEOUT_MS = 3_000;
const AUTHENTICATION_TIMEOUT_MS = 10_000;
const REAUTHENTICATION_THRESHOLD_MS = 10_000;
/** A request without an answer fails after this time, and its connection is given up. */
const REQUEST_TIMEOUT_MS = 15_000;
/** Every broker answers metadata requests at once, so another one is asked after this time. */
const ANSWER_TIMEOUT_MS = 5_000;
/** The time to connect, to agree on API versions and to log in. */
const READY_TIMEOUT_MS = 8_000;

/** What metadata say of a topic. */
interface Answer {
  readonly partitions: readonly PartitionMetadata[];
  readonly at: number;
  readonly error?: Error;
}

export function openCluster(
  settings: KafkaSettings,
  socketFactory: (destination: SocketDestination) => Socket,
): Cluster {
  const { onDebug, metadataMaxAgeMs } = settings;
  const logger = loggers.createLogger({
    level: onDebug ? LOG_EVERYTHING : LOG_NOTHING,
    // What kafkajs logs as an error is often tried again here; an error that persists is thrown to the caller.
    logCreator: () => (entry) => onDebug?.(entry.log.message, entry.log),
  });
  const sasl = settings.sasl && saslLogin(settings.sasl);
  /** The brokers named in the settings, until one of them has named all. */
  const seeds = new Map<string, Broker>();
  const nodes = new Map<number, Broker>();
  const topics = new Map<string, Answer>();
  const asking = new Map<string, Promise<Map<string, Answer>>>();
  const coordinators = new Map<string, number>();
  let closed = false;

  function makeBroker(host: string, port: number): Broker {
    const connectionPool = new ConnectionPool({
      host,
      port,
      logger,
      socketFactory,
      clientId: settings.clientId,
      ssl: settings.tls,
      sasl,
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      enforceRequestTimeout: true,
      reauthenticationThreshold: REAUTHENTICATION_THRESHOLD_MS,
    });
    return new BrokerClass({
      connectionPool,
      logger,
      authenticationTimeout: AUTHENTICATION_TIMEOUT_MS,
      allowAutoTopicCreation: false,
    }) as Broker;
  }

  /** A socket may be open before the API versions of its broker are known. */
  const isReady = (broker: Broker) => Boolean(broker.versions) && broker.isConnected();

  async function ready(broker: Broker): Promise<Broker> {
    if (closed) throw new LogError('LOG_CLOSED', 'The log was closed.');
    if (!isReady(broker)) await unlessSilent(broker, READY_TIMEOUT_MS, broker.connect());
    return broker;
  }

  async function any(): Promise<Broker> {
    const known = shuffled([...nodes.values()]);
    const candidates = [
      ...known.filter(isReady),
      ...known.filter((each) => !isReady(each)),
      ...seedBrokers(),
    ];
    const failures: unknown[] = [];
    for (const broker of candidates) {
      try {
        return await ready(broker);
      } catch (error) {
        failures.push(error);
      }
    }
    // A broker that refuses this client tells more about what to mend than others that are down.
    throw failures.find((error) => !faultOf(error).canRetry) ?? failures.at(-1);
  }

  function seedBrokers(): Broker[] {
    for (const address of settings.brokers) {
      const { host, port } = parseAddress(address);
      if (!seeds.has(address)) seeds.set(address, makeBroker(host, port));
    }
    return [...seeds.values()];
  }

  /** Asks one broker what every broker knows. */
  async function askAny<T>(ask: (broker: Broker) => Promise<T>): Promise<T> {
    const broker = await any();
    return unlessSilent(broker, ANSWER_TIMEOUT_MS, ask(broker));
  }

  function learn(brokers: ClusterMetadata['brokers']): void {
    for (const { nodeId, host, port } of brokers) {
      const address = `${host}:${port}`;
      const known = nodes.get(nodeId);
      if (known?.brokerAddress === address) continue;
      void known?.disconnect();
      nodes.set(nodeId, seeds.get(address) ?? makeBroker(host, port));
      seeds.delete(address);
    }
  }

  async function ask(names: readonly string[]): Promise<ClusterMetadata> {
    const answer = await askAny((broker) => metadata(broker, names));
    learn(answer.brokers);
    const live = new Set(answer.brokers.map(({ nodeId }) => nodeId));
    const gone = [...nodes.keys()].filter((nodeId) => !live.has(nodeId));
    for (const broker of [...seeds.values(), ...gone.map((nodeId) => nodes.get(nodeId)!)])
      void broker.disconnect();
    for (const nodeId of gone) nodes.delete(nodeId);
    seeds.clear();
    return answer;
  }

  async function askTopics(names: readonly string[]): Promise<Map<string, Answer>> {
    const { topicMetadata } = await ask(names);
    const at = performance.now();
    const answers = new Map<string, Answer>();
    for (const { topic, topicErrorCode: code, partitionMetadata: partitions } of topicMetadata)
      if (code !== UNKNOWN_TOPIC)
        answers.set(topic, {
          partitions,
          at,
          ...(code !== 0 && { error: protocolErrors.createErrorFromCode(code) }),
        });
    for (const name of names) topics.delete(name);
    for (const [topic, answer] of answers) if (!answer.error) topics.set(topic, answer);
    return answers;
  }

  /** Callers share one request, which also asks for every other topic whose metadata are too old. */
  function askAnew(topic: string): Promise<Map<string, Answer>> {
    const underWay = asking.get(topic);
    if (underWay) return underWay;
    const old = [...topics].filter(([name, answer]) => ageOf(answer) > metadataMaxAgeMs && !asking.has(name));
    const names = [...new Set([topic, ...old.map(([name]) => name)])];
    const answers = askTopics(names).finally(() => {
      for (const name of names) asking.delete(name);
    });
    for (const name of names) asking.set(name, answers);
    return answers;
  }

  async function broker(nodeId: number): Promise<Broker> {
    const known = nodes.get(nodeId);
    if (!known) throw leaderNotAvailable();
    return ready(known);
  }

  return {
    any,
    broker,

    async controller() {
      const { controllerId } = await ask([]);
      return broker(controllerId);
    },

    async coordinator(type, id) {
      const key = `${type} ${id}`;
      const known = coordinators.get(key);
      // A broker that has left the cluster coordinates nothing any more.
      if (known !== undefined && nodes.has(known)) return broker(known);
      const { coordinator } = await askAny((each) =>
        each.findGroupCoordinator({ groupId: id, coordinatorType: COORDINATOR_TYPES[type] }),
      );
      learn([coordinator]);
      coordinators.set(key, coordinator.nodeId);
      return broker(coordinator.nodeId);
    },

    async brokers() {
      await ask([]);
      return Promise.all([...nodes.values()].map(ready));
    },

    async partitions(topic) {
      const known = topics.get(topic);
      if (known && ageOf(known) <= metadataMaxAgeMs) return known.partitions;
      const answers = askAnew(topic);
      if (known && ageOf(known) <= 2 * metadataMaxAgeMs) {
        answers.catch(() => {});
        return known.partitions;
      }
      return partitionsIn(await answers, topic);
    },

    async describe(names) {
      const answers = names.length === 0 ? new Map<string, Answer>() : await askTopics(names);
      return new Map([...answers.keys()].map((name) => [name, partitionsIn(answers, name)]));
    },

    forget(error) {
      const { stale } = faultOf(error);
      if (stale === 'leaders' || stale === 'everything') topics.clear();
      if (stale === 'coordinators' || stale === 'everything') coordinators.clear();
      // A connection that gets no answers may look open for long.
      const { broker: address } = error as { readonly broker?: string };
      for (const each of nodes.values()) if (each.brokerAddress === address) void each.disconnect();
    },

    close() {
      closed = true;
      for (const each of [...seeds.values(), ...nodes.values()]) void each.disconnect();
    },
  };
}

/** Gives the connection up after `ms` without an answer, which fails every request on it. */
async function unlessSilent<T>(broker: Broker, ms: number, answer: Promise<T>): Promise<T> {
  const timer = setTimeout(() => void broker.disconnect(), ms);
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
  }
}

/** What a broker answers that does not know the leader of a partition yet. An attempt that throws it is made again. */
export const leaderNotAvailable = (): Error => protocolErrors.createErrorFromCode(LEADER_NOT_AVAILABLE);

const ageOf = ({ at }: Answer): number => performance.now() - at;

function partitionsIn(answers: ReadonlyMap<string, Answer>, topic: string): readonly PartitionMetadata[] {
  const { error, partitions = [] } = answers.get(topic) ?? {};
  if (error) throw error;
  return partitions;
}

/** @internal */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  return {
    host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
    port: Number(address.slice(colon + 1)),
  };
}

function shuffled<T>(list: readonly T[]): T[] {
  const keyed = list.map((item) => ({ item, key: Math.random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
