import { LogError } from '@rlhf-streams/log';
import protocolErrors from 'kafkajs/src/protocol/error.js';
import { describe, expect, it } from 'vitest';
import { applyCountermeasures } from './countermeasures.js';
import { faultOf, toLogError } from './errors.js';

applyCountermeasures();
const ofCode = (code: number): Error => protocolErrors.createErrorFromCode(code);
const named = (name: string, more: object = {}): Error => Object.assign(new Error('x'), { name, ...more });

describe('errors of brokers', () => {
  it.each([
    ['NOT_COORDINATOR', 16],
    ['CONCURRENT_TRANSACTIONS', 51],
    ['NOT_LEADER', 6],
    ['UNKNOWN_TOPIC_OR_PARTITION', 3],
    ['THROTTLING_QUOTA_EXCEEDED', 89],
  ])('pass: %s', (_, code) => {
    expect(faultOf(ofCode(code)).canRetry).toBe(true);
  });

  it.each([
    ['LOG_FENCED', 47],
    ['LOG_FENCED', 90],
    ['LOG_DENIED', 29],
    ['LOG_DENIED', 58],
    ['LOG_RECORD_TOO_LARGE', 10],
    ['LOG_REVOKED', 22],
    ['LOG_REVOKED', 25],
    ['LOG_WRITE_FAILED', 42],
    ['LOG_WRITE_FAILED', 12_345],
  ])('are %s for good: code %i', (code, kafkaCode) => {
    expect(faultOf(ofCode(kafkaCode)).canRetry).toBe(false);
    expect(toLogError(ofCode(kafkaCode), 'test')).toMatchObject({ code });
  });

  it('are found behind what wraps them', () => {
    const error = named('KafkaJSNonRetriableError', { cause: ofCode(27) });
    expect(faultOf(error).canRetry).toBe(false);
    expect(toLogError(error, 'commit')).toMatchObject({
      code: 'LOG_WRITE_FAILED',
      message: expect.stringContaining('REBALANCE_IN_PROGRESS'),
    });
  });
});

describe('errors of the connection', () => {
  it('pass, but for certificates that are not trusted', () => {
    expect(faultOf(named('KafkaJSConnectionError', { code: 'ECONNREFUSED' })).canRetry).toBe(true);
    expect(faultOf(named('KafkaJSRequestTimeoutError')).canRetry).toBe(true);
    const untrusted = named('KafkaJSConnectionError', { code: 'SELF_SIGNED_CERT_IN_CHAIN' });
    expect(faultOf(untrusted).canRetry).toBe(false);
    expect(toLogError(untrusted, 'connect')).toMatchObject({ code: 'LOG_DENIED' });
  });
});

describe('other errors', () => {
  it('stay what they are', () => {
    const fault = new TypeError('a fault of ours');
    expect(toLogError(fault, 'test')).toBe(fault);
    const known = new LogError('LOG_CLOSED', 'closed');
    expect(toLogError(known, 'test')).toBe(known);
  });
});
