/** Mends known faults of kafkajs 2.2.4, once for the process. Each countermeasure has a test that fails without it. */
import errors from 'kafkajs/src/errors.js';
import Connection from 'kafkajs/src/network/connection.js';
import statuses from 'kafkajs/src/network/connectionStatus.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import protocolErrors from 'kafkajs/src/protocol/error.js';

const QUEUE_CHECK_MS = 10;
const SIZE_BYTES = 4;
let applied = false;
const connecting = new WeakMap<object, Promise<unknown>>();

export function applyCountermeasures(): void {
  if (applied) return;
  applied = true;
  checkQueueOnlyWhenNeeded();
  connectOnce();
  disconnectAtOnce();
  nameNewerErrors();
}

/** kafkajs's idle request queue re-arms a timer of one millisecond for ever (its issues 1704 and 1751). */
function checkQueueOnlyWhenNeeded(): void {
  RequestQueue.prototype.scheduleCheckPendingRequests = function () {
    if (this.throttleCheckTimeoutId || this.pending.length === 0) return;
    const throttledMs = this.throttledUntil - Date.now();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      throttledMs > 0 ? throttledMs : QUEUE_CHECK_MS,
    );
  };
}

/** In kafkajs, requests made at the same time on a connection that is down open a socket each, and all but one leak. */
function connectOnce(): void {
  const connect = Connection.prototype.connect;
  Connection.prototype.connect = function () {
    const known = connecting.get(this);
    if (known) return known;
    const attempt = connect.call(this).finally(() => connecting.delete(this));
    connecting.set(this, attempt);
    return attempt;
  };
}

/**
 * A connection that kafkajs gives up first waits for its answers, which may never come, and then ends the socket it has
 * by that time, which may be a new one: requests written to that wait for ever. Errors of the old socket end the new one,
 * too, and half an answer from the old socket is taken for the beginning of the next answer.
 */
function disconnectAtOnce(): void {
  Connection.prototype.disconnect = async function () {
    const { socket, host, port } = this;
    this.authenticatedAt = null;
    this.connectionStatus = statuses.CONNECTION_STATUS.DISCONNECTED;
    this.chunks = [];
    this.bytesBuffered = 0;
    this.bytesNeeded = SIZE_BYTES;
    this.authHandlers?.onError();
    this.rejectRequests(
      new errors.KafkaJSConnectionClosedError('The connection was given up', { host, port }),
    );
    this.requestQueue.destroy();
    // An attempt to connect fails at once with an error, and would last until its timeout without one.
    socket?.destroy(connecting.has(this) ? new Error('not connected in time') : undefined);
  };
}

/** Errors of newer brokers that answer requests made here; kafkajs knows none of them by name. */
const NEWER_ERRORS = [
  [89, 'THROTTLING_QUOTA_EXCEEDED', 'The throttling quota has been exceeded'],
  [90, 'PRODUCER_FENCED', 'There is a newer producer with the same transactional id'],
  [105, 'TRANSACTIONAL_ID_NOT_FOUND', 'The transactional id could not be found'],
  [110, 'FENCED_MEMBER_EPOCH', 'The member epoch is fenced by the group coordinator'],
  [113, 'STALE_MEMBER_EPOCH', 'The member epoch is stale'],
  [120, 'TRANSACTION_ABORTABLE', 'The transaction can only be aborted'],
] as const;

function nameNewerErrors(): void {
  for (const [code, type, message] of NEWER_ERRORS)
    protocolErrors.errorCodes.push({ code, type, message, retriable: false });
}
