import { randomBytes } from 'node:crypto';

/** A random UUID as Kafka writes one, in base64. Its first byte is 0: a leading dash would look like an option. */
export function newClusterId(): string {
  const bytes = randomBytes(16);
  bytes[0] = 0;
  return bytes.toString('base64url');
}
