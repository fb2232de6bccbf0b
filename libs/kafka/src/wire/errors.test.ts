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
    ['NOT_LEADER_FOR_PARTITION', 6, 'leaders'],
    ['UNKNOWN_TOPIC_OR_PARTITION', 3, 'leaders'],
    ['THROTTLING_QUOTA_EXCEEDED', 89, 'leaders'],
    ['NOT_COORDINATOR_FOR_GROUP', 16, 'coordinators'],
    ['GROUP_LOAD_IN_PROGRESS', 14, 'coordinators'],
    ['CONCURRENT_TRANSACTIONS', 51, 'nothing'],
    ['UNSTABLE_OFFSET_COMMIT', 88, 'nothing'],
  ])('pass, and say what is out of date: %s', (name, code, stale) => {
    expect(faultOf(ofCode(code))).toMatchObject({ name, canRetry: true, stale });
  });

  /** kafkajs tries these again: none of them answers a request that is made here, or does so for good. */
  const NOT_AGAIN = [
    'CORRUPT_MESSAGE',
    'FETCH_SESSION_ID_NOT_FOUND',
    'INVALID_FETCH_SESSION_EPOCH',
    'ELIGIBLE_LEADERS_NOT_AVAILABLE',
    'ELECTION_NOT_NEEDED',
  ];

  it('pass where kafkajs says so, too', () => {
    const retriable = protocolErrors.errorCodes.filter((each) => each.retriable);
    const refused = retriable.filter(({ code }) => !faultOf(ofCode(code)).canRetry);
    expect(refused.map(({ type }) => type)).toEqual(NOT_AGAIN);
  });

  it.each([
    ['INVALID_PRODUCER_EPOCH', 47, { code: 'LOG_FENCED', lostProducerId: true }],
    ['PRODUCER_FENCED', 90, { code: 'LOG_FENCED' }],
    ['OUT_OF_ORDER_SEQUENCE_NUMBER', 45, { lostProducerId: true }],
    ['INVALID_TXN_STATE', 48, { noTransaction: true }],
    ['TOPIC_AUTHORIZATION_FAILED', 29, { code: 'LOG_DENIED' }],
    ['SASL_AUTHENTICATION_FAILED', 58, { code: 'LOG_DENIED' }],
    ['MESSAGE_TOO_LARGE', 10, { code: 'LOG_RECORD_TOO_LARGE' }],
    ['ILLEGAL_GENERATION', 22, { code: 'LOG_REVOKED', lostMembership: true }],
    ['UNKNOWN_MEMBER_ID', 25, { code: 'LOG_REVOKED', lostMembership: true }],
    ['REBALANCE_IN_PROGRESS', 27, { needsRejoin: true }],
    ['OFFSET_OUT_OF_RANGE', 1, { outOfRange: true }],
    ['INVALID_REQUEST', 42, { code: 'LOG_WRITE_FAILED' }],
    ['an unknown error', 12_345, { code: 'LOG_WRITE_FAILED' }],
  ])('say what to do: %s', (_, kafkaCode, expected) => {
    expect(faultOf(ofCode(kafkaCode))).toMatchObject({ canRetry: false, ...expected });
  });

  it('are found behind what wraps them', () => {
    const error = named('KafkaJSNonRetriableError', { cause: ofCode(27) });
    expect(faultOf(error).needsRejoin).toBe(true);
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
