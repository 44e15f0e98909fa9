/**
 * The ids under which this process reads binlogs. A server ends the session of a replica when another one
 * comes with its id; whoever was pushed aside under a derived id comes back under one drawn at random,
 * or two readers would push each other aside for ever. What is known to be taken is kept for the life
 * of the process, because the source that learnt it is gone by then.
 */
const taken = new Set<number>()
const takenMax = 1024
/** Ids below it are what people give their servers. */
const drawnIdMin = 0x8000_0000

/** `wanted`, or another one where that is known to be taken. `random`: uniform in [0, 1). */
export function replicaId(wanted: number, random: () => number): number {
  let id = wanted
  while (taken.has(id)) id = drawnIdMin + Math.floor(random() * drawnIdMin)
  return id
}

/** Another reader has this id. */
export function markTaken(id: number): void {
  if (taken.size < takenMax) taken.add(id)
}
