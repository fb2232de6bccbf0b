import { KafkaBrokerError } from './errors.js';

export interface KafkaOptions {
  /** 1 (default) or 3. With 3, internal topics, and others by default, have 3 replicas, of which 2 must be in sync. */
  readonly nodes?: 1 | 3;
  /** Default: `docker` where an engine answers and has or can pull the image, else `java` (17 or newer, with Maven). */
  readonly source?: 'docker' | 'java';
  /** Whether clients need TLS and SASL. Only with `java`. Default false. */
  readonly secure?: boolean;
  /** Further users of a secure cluster, who log in with PLAIN and the same password. Default none. */
  readonly users?: readonly string[];
  /** Server properties that override those chosen here. Where a broker listens and which node it is cannot be set. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The port of the first node; the others take those after it. Default: free ports. */
  readonly port?: number;
  /** A folder for the data, which `stop` keeps and a later cluster goes on with. Only with `java`. Default: none. */
  readonly directory?: string;
}

const OWNED =
  /^(node\.id|broker\.id|process\.roles|listeners|advertised\.listeners|controller\.(quorum\.(voters|bootstrap\.servers)|listener\.names)|(inter\.broker\.)?listener\.(name|security\.protocol\.map)\b.*|log\.dirs?|metadata\.log\.dir)$/;

/** @throws KafkaBrokerError KAFKA_BROKER_INVALID naming the option. */
export function checkOptions(options: KafkaOptions): void {
  const { nodes = 1, source, secure = false, users = [], settings = {}, port } = options;
  if (nodes !== 1 && nodes !== 3) throw invalid('nodes', '1 or 3', nodes);
  if (source !== undefined && source !== 'docker' && source !== 'java') {
    throw invalid('source', "'docker' or 'java'", source);
  }
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port + nodes - 1 <= 65_535)) {
    throw invalid('port', `a port with ${nodes - 1} ports after it`, port);
  }
  for (const option of ['secure', 'directory'] as const) {
    if (source === 'docker' && options[option]) {
      throw invalid('source', `'java', which alone supports the option ${option}`, source);
    }
  }
  const odd = users.find((user) => !/^[\w.-]+$/.test(user));
  if (odd !== undefined) throw invalid('users', 'names of letters, digits, "_", "." and "-"', odd);
  if (users.length > 0 && !secure)
    throw invalid('users', 'of a secure cluster', 'one that asks nobody who it is');
  for (const [name, value] of Object.entries(settings)) {
    if (!/^[a-z][a-z0-9._-]*$/.test(name) || OWNED.test(name)) {
      throw invalid('settings', 'names of server properties that are not chosen here', name);
    }
    if (typeof value !== 'string' || /[\r\n]/.test(value)) {
      throw invalid('settings', `a text of one line for ${name}`, value);
    }
  }
}

const invalid = (option: string, expected: string, got: unknown) =>
  new KafkaBrokerError(
    'KAFKA_BROKER_INVALID',
    `startKafka: expected ${option} to be ${expected}, got ${String(got)}`,
  );
