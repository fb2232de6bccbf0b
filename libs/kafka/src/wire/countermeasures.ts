/** Known faults of kafkajs 2.2.4, mended once for the process. Each has a test that fails without it. */
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

/** An idle queue re-arms a timer of one millisecond for ever (kafkajs issues 1704 and 1751). */
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

/** Requests made side by side on a connection that is down open a socket each; all but the last are lost track of. */
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
 * A connection that is given up waits for its answers first, which may never come, and then ends whatever socket it has
 * by that time: a request written to a new one waits for ever. What the old socket still reports ends the new one too,
 * and the half of an answer that it had received is taken for the beginning of the next.
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
    // An attempt to connect ends with the error, and not before its time is up without one.
    socket?.destroy(connecting.has(this) ? new Error('not connected in time') : undefined);
  };
}

/** The errors of newer brokers that can answer this adapter's requests; to kafkajs they are all the same. */
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
