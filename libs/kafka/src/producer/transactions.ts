/**
 * Transactions. Every request is repeated under the same producer id and epoch until it is answered: a lost connection
 * or a moved coordinator costs nothing but time, and a producer that was fenced meanwhile finds that out. With a new epoch
 * it would fence its successor instead.
 *
 * A transaction is answered before its control records are written. Nothing waits for those here: reads go up to the
 * high watermark (`consumer/reading.ts`), and committed offsets are asked for stable (`wire/offset-fetch.ts`).
 */

import { type GroupCommit, LogError } from '@rlhf-streams/log';
import type { AdapterProducer } from '@rlhf-streams/log/core';
import type { KafkaSettings } from '../options.js';
import { describe, faultOf } from '../wire/errors.js';
import { byTopic, partitionCount, unknownPartition } from '../wire/partitions.js';
import type { Wire } from '../wire/wire.js';
import { type PartitionBatch, type Placed, place, takeRequest } from './batches.js';
import { type BatchWriter, openWriter } from './writer.js';

const ABORT_TIMEOUT_MS = 15_000;

export async function openTransactional(
  wire: Wire,
  id: string,
  settings: KafkaSettings,
): Promise<AdapterProducer> {
  const open = () =>
    openWriter(wire, {
      compression: settings.compression,
      transactionalId: id,
      transactionTimeoutMs: settings.transactionTimeoutMs,
    });
  let writer: BatchWriter = await open();
  /** A transaction failed and is not aborted yet. */
  let poisoned = false;
  let fenced: LogError | undefined;
  /** The last transaction asked for: a producer can have one open at a time. */
  let last: Promise<unknown> = Promise.resolve();

  const coordinator = () => wire.coordinator('transaction', id);

  async function transact(placing: Promise<Placed[]>, commits: readonly GroupCommit[]): Promise<void> {
    if (fenced) throw fenced;
    for (const commit of commits) await checkPartition(wire, commit);
    const queue = await placing;
    if (queue.length === 0 && commits.length === 0) return;
    if (poisoned) await replace();
    let committing = false;
    try {
      while (queue.length > 0) await write(takeRequest(queue));
      for (const [group, offsets] of byGroup(commits)) await commitOffsets(group, offsets);
      committing = true;
      await end(true);
    } catch (error) {
      if (await recover(error, committing)) return;
      throw error;
    }
  }

  async function write(batches: readonly PartitionBatch[]): Promise<void> {
    await wire.attempt(`add partitions to a transaction of ${id}`, async () => {
      const topics = byTopic(batches, ({ partition }) => partition);
      await (await coordinator()).addPartitionsToTxn({ ...writer.identity, topics });
    });
    await writer.write(batches);
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

  /**
   * Replaces the producer, or leaves that to the next transaction if no broker answers now. Tells whether this
   * transaction was committed after all, which an error may hide.
   */
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
        `A transaction of ${id} was to be committed, and no broker answers whether it is: ${describe(error)}`,
        { cause: error },
      );
    }
  }

  /**
   * Aborts what is open and takes a new epoch. That the abort is accepted proves that no newer producer exists, so that
   * taking one fences nobody. Tells whether there was a transaction to abort: there is none if it was committed, or never
   * begun.
   */
  async function replace(): Promise<boolean> {
    const aborted = await end(false, ABORT_TIMEOUT_MS).then(
      () => true,
      (failure: unknown) => {
        if (!faultOf(failure).noTransaction) throw failure;
        return false;
      },
    );
    writer = await open();
    poisoned = false;
    return aborted;
  }

  return {
    transact(records, commits) {
      const placing = place(wire, records);
      placing.catch(() => {});
      const turn = last.then(() => transact(placing, commits));
      last = turn.catch(() => {});
      return turn;
    },
  };
}

const isFencing = (error: unknown): error is LogError => error instanceof LogError && error.fenced;

async function checkPartition(wire: Wire, { topic, partition }: GroupCommit): Promise<void> {
  const count = await partitionCount(wire, topic);
  if (!(Number.isInteger(partition) && partition >= 0 && partition < count))
    throw unknownPartition({ topic, partition });
}

function byGroup(commits: readonly GroupCommit[]): Map<string, GroupCommit[]> {
  const groups = new Map<string, GroupCommit[]>();
  for (const commit of commits) groups.set(commit.group, [...(groups.get(commit.group) ?? []), commit]);
  return groups;
}
