/**
 * Transactions. Every request of one is repeated under the same producer id and epoch until it is answered, so that a
 * lost connection or a moved coordinator costs time and nothing else, and a producer that was fenced meanwhile finds
 * that out instead of fencing its successor in turn.
 */
import { LogError } from '../errors.js';
import type { GroupCommit, TransactionalProducer } from '../port.js';
import { backoff, pause } from '../waiting.js';
import { type PartitionBatch, type Placed, partitionCount, place, takeRequest } from './batches.js';
import { kafkaType, textOf } from './errors.js';
import { byTopic, committedOffsets, listOffsets } from './offsets.js';
import type { KafkaSettings } from './options.js';
import { type BatchWriter, openWriter, type Written } from './producer.js';
import type { Wire } from './wire.js';

/** A commit is answered before its markers are written; another producer's open transaction may hide them longer. */
const VISIBLE_TIMEOUT_MS = 2_000;
const ABORT_TIMEOUT_MS = 15_000;

export async function openTransactional(
  wire: Wire,
  id: string,
  settings: KafkaSettings,
): Promise<TransactionalProducer> {
  const open = () =>
    openWriter(wire, {
      compression: settings.compression,
      transactionalId: id,
      transactionTimeoutMs: settings.transactionTimeoutMs,
    });
  let writer: BatchWriter = await open();
  /** What a failed transaction left is yet to be aborted. */
  let poisoned = false;
  let fenced: LogError | undefined;
  let closed = false;
  /** Transactions of one producer come one after another. */
  let last: Promise<unknown> = Promise.resolve();

  const coordinator = () => wire.coordinator('transaction', id);

  async function transact(placing: Promise<Placed[]>, commits: readonly GroupCommit[]): Promise<void> {
    if (fenced) throw fenced;
    for (const { topic, partition } of commits) await checkPartition(wire, topic, partition);
    const queue = await placing;
    if (queue.length === 0 && commits.length === 0) return;
    if (poisoned) await replace();
    const written: Written[] = [];
    let committing = false;
    try {
      while (queue.length > 0) written.push(...(await write(takeRequest(queue))));
      for (const [group, offsets] of byGroup(commits)) await commitOffsets(group, offsets);
      committing = true;
      await end(true);
    } catch (error) {
      if (await recover(error, committing)) return;
      throw error;
    }
    // What is committed stays so: that it cannot be seen yet is no failure of the transaction.
    await untilVisible(wire, written, commits).catch(() => {});
  }

  async function write(batches: readonly PartitionBatch[]): Promise<Written[]> {
    await wire.attempt(`add partitions to a transaction of ${id}`, async () => {
      const topics = byTopic(batches, ({ partition }) => partition);
      await (await coordinator()).addPartitionsToTxn({ ...writer.identity, topics });
    });
    return writer.write(batches);
  }

  async function commitOffsets(groupId: string, offsets: readonly GroupCommit[]): Promise<void> {
    await wire.attempt(`add offsets of group ${groupId} to a transaction of ${id}`, async () => {
      await (await coordinator()).addOffsetsToTxn({ ...writer.identity, groupId });
    });
    const topics = byTopic(offsets, ({ partition, offset }) => ({ partition, offset: String(offset) }));
    await wire.attempt(`commit offsets of group ${groupId} in a transaction of ${id}`, async () => {
      const broker = await wire.coordinator('group', groupId);
      await broker.txnOffsetCommit({ ...writer.identity, groupId, topics });
    });
  }

  const end = (commit: boolean, deadlineMs = settings.deadlineMs) =>
    wire.attempt(
      `${commit ? 'commit' : 'abort'} a transaction of ${id}`,
      async () => {
        await (await coordinator()).endTxn({ ...writer.identity, transactionResult: commit });
      },
      { deadlineMs },
    );

  /** Makes the producer fit for the next transaction, now or then. Answers whether this one was committed after all. */
  async function recover(error: unknown, committing: boolean): Promise<boolean> {
    poisoned = true;
    if (isFencing(error)) fenced = error;
    if (fenced || (error instanceof LogError && error.code === 'LOG_CLOSED')) return false;
    try {
      return !(await replace()) && committing;
    } catch (failure) {
      if (isFencing(failure)) fenced = failure;
      if (!committing) return false;
      throw new LogError(
        'LOG_UNAVAILABLE',
        `A transaction of ${id} was to be committed, and no broker answers whether it is: ${textOf(error)}`,
        { cause: error },
      );
    }
  }

  /**
   * A producer whose transaction failed is replaced if it is still the newest of its id, which aborting proves. Answers
   * whether there was a transaction to abort: if it was never begun, or was committed, there is none.
   */
  async function replace(): Promise<boolean> {
    const aborted = await end(false, ABORT_TIMEOUT_MS).then(
      () => true,
      (failure: unknown) => {
        if (kafkaType(failure) !== 'INVALID_TXN_STATE') throw failure;
        return false;
      },
    );
    writer = await open();
    poisoned = false;
    return aborted;
  }

  return {
    transact({ records, commits = [] }) {
      if (closed)
        return Promise.reject(new LogError('LOG_CLOSED', `Producer ${id} is closed: open another.`));
      const placing = place(wire, records);
      placing.catch(() => {});
      const turn = last.then(() => transact(placing, commits));
      last = turn.catch(() => {});
      return turn;
    },
    async close() {
      closed = true;
      await last;
    },
  };
}

const isFencing = (error: unknown): error is LogError =>
  error instanceof LogError && error.code === 'LOG_FENCED';

async function checkPartition(wire: Wire, topic: string, partition: number): Promise<void> {
  const count = await partitionCount(wire, topic);
  if (!(Number.isInteger(partition) && partition >= 0 && partition < count))
    throw new LogError('LOG_UNKNOWN_TOPIC', `Topic ${topic} has no partition ${partition}.`);
}

function byGroup(commits: readonly GroupCommit[]): Map<string, GroupCommit[]> {
  const groups = new Map<string, GroupCommit[]>();
  for (const commit of commits) groups.set(commit.group, [...(groups.get(commit.group) ?? []), commit]);
  return groups;
}

/** Waits until readers see the transaction, so that who is told of it finds it. */
async function untilVisible(
  wire: Wire,
  written: readonly Written[],
  commits: readonly GroupCommit[],
): Promise<void> {
  const visible = async () => {
    const stable = await listOffsets(wire, written, 'latest');
    const recordsAre = written.every(({ topic, partition, next }) =>
      stable.some((each) => each.topic === topic && each.partition === partition && each.offset >= next),
    );
    if (!recordsAre) return false;
    for (const [group, offsets] of byGroup(commits)) {
      const known = await committedOffsets(await wire.coordinator('group', group), group, offsets);
      const are = offsets.every(({ topic, partition, offset }) =>
        known.some((each) => each.topic === topic && each.partition === partition && each.offset >= offset),
      );
      if (!are) return false;
    }
    return true;
  };
  const end = performance.now() + VISIBLE_TIMEOUT_MS;
  const never = new AbortController().signal;
  for (let looks = 1; performance.now() < end; looks++) {
    if (await wire.attempt('see what was committed', visible, { deadlineMs: VISIBLE_TIMEOUT_MS })) return;
    await pause(Math.min(50, backoff(1, looks)), never);
  }
}
