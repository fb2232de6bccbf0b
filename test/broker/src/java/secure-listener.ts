/** A listener with TLS, under a certificate authority of its own; one user for all SASL mechanisms, and others for PLAIN. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { KafkaSecurity } from '../cluster.js';
import type { ServerSettings } from '../server-settings.js';

export interface SecureListener {
  readonly settings: ServerSettings;
  /** The user, as `StorageTool format --add-scram` takes it. */
  readonly scram: readonly string[];
  readonly security: KafkaSecurity;
}

const USERNAME = 'rlhf-streams';
const SCRAM_MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-512'];
const KEYTOOL_TIMEOUT_MS = 30_000;
const VALID_DAYS = '30';

/** Settings for the listener CLIENT at `host`; the certificates go into `folder`. */
export async function secureListener(
  keytool: string,
  host: string,
  { password, users }: { readonly password: string; readonly users: readonly string[] },
  folder: string,
): Promise<SecureListener> {
  const keyStore = join(folder, 'broker.p12');
  const caFile = join(folder, 'ca.pem');
  await makeCertificates(keytool, host, { keyStore, caFile, password });

  const login = 'org.apache.kafka.common.security';
  const plainUsers = [USERNAME, ...users].map((user) => `user_${user}="${password}"`);
  const scramLogins = SCRAM_MECHANISMS.map((mechanism) => [
    `listener.name.client.${mechanism.toLowerCase()}.sasl.jaas.config`,
    `${login}.scram.ScramLoginModule required;`,
  ]);
  return {
    settings: {
      'listener.name.client.ssl.keystore.type': 'PKCS12',
      'listener.name.client.ssl.keystore.location': keyStore,
      'listener.name.client.ssl.keystore.password': password,
      'listener.name.client.sasl.enabled.mechanisms': ['PLAIN', ...SCRAM_MECHANISMS].join(),
      'listener.name.client.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required ${plainUsers.join(' ')};`,
      ...Object.fromEntries(scramLogins),
    },
    scram: SCRAM_MECHANISMS.map((mechanism) => `${mechanism}=[name=${USERNAME},password=${password}]`),
    security: { ca: await readFile(caFile, 'utf8'), caFile, username: USERNAME, password },
  };
}

/** A key store with the broker's key and the chain of its certificate; the authority's key is thrown away. */
async function makeCertificates(
  keytool: string,
  host: string,
  { keyStore, caFile, password }: { keyStore: string; caFile: string; password: string },
): Promise<void> {
  const run = (command: string, alias: string, ...more: string[]) =>
    promisify(execFile)(
      keytool,
      [
        command,
        '-alias',
        alias,
        '-keystore',
        keyStore,
        '-storetype',
        'PKCS12',
        '-storepass:env',
        'STORE_PASSWORD',
        ...more,
      ],
      { timeout: KEYTOOL_TIMEOUT_MS, env: { ...process.env, STORE_PASSWORD: password } },
    );
  const newKey = ['-keyalg', 'EC', '-groupname', 'secp256r1', '-validity', VALID_DAYS];
  await run('-genkeypair', 'ca', ...newKey, '-dname', 'CN=rlhf-streams test authority', '-ext', 'bc:c');
  const names = `san=dns:${host},ip:127.0.0.1`;
  await run('-genkeypair', 'broker', ...newKey, '-dname', `CN=${host}`, '-ext', names, '-signer', 'ca');
  await run('-exportcert', 'ca', '-rfc', '-file', caFile);
  await run('-delete', 'ca');
}
