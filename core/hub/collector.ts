/**
 * V8's garbage collector, set for what a hub does: rows and requests that live for some milliseconds, from
 * when they come until their commit. What each setting is worth is measured in docs/decisions/0011.
 *
 * pretenuring: V8 makes objects in its old generation once nearly all of those that a literal made lived
 * through a collection of the young one, which is what waiting requests do while that is small. Dead there,
 * they keep all they point to until the next full collection, and each young one copies that.
 *
 * heap-growing-percent: V8 begins a full collection when what it holds, memory of batches included, has grown
 * by so much since the last one. It chooses by how fast objects are made, and rows are none: left alone, it
 * collects after every few megabytes of rows, and the threads that mark take the time of those that decode.
 */
import { setFlagsFromString } from 'node:v8'

/** For the whole process, before its tasks start. */
export function setUpCollector(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
  setFlagsFromString('--heap-growing-percent=100')
}
