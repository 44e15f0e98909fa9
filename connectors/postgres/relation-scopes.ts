/**
 * Which relations were announced, and to whom. What a transaction in progress announces counts for
 * itself alone until it commits: it may have altered the table, and may still be rolled back. The
 * server keeps the same books (pgoutput.c, get_schema_sent_in_streamed_txn).
 */
import type { RelationMessage } from './pgoutput.ts'
import { int32At } from './pgoutput.ts'
import type { RelationPlan } from './relations.ts'

type Plan = RelationPlan | 'ignored'
interface Announced {
  /** Relation message from its oid on. */
  readonly bytes: Uint8Array
  readonly plan: Plan
}
type Scope = Map<number, Announced>

export class RelationScopes {
  readonly #committed: Scope = new Map()
  readonly #open = new Map<number, Scope>()
  #scope: Scope = this.#committed
  #lastOid = -1
  #lastPlan: Plan | undefined

  /** A stream block of this transaction begins. */
  enter(xid: number): void {
    let scope = this.#open.get(xid)
    if (scope === undefined) {
      scope = new Map()
      this.#open.set(xid, scope)
    }
    this.#use(scope)
  }

  /** The stream block ends. */
  leave(): void {
    this.#use(this.#committed)
  }

  commit(xid: number): void {
    for (const [oid, announced] of this.#open.get(xid) ?? []) this.#committed.set(oid, announced)
    this.forget(xid)
  }

  forget(xid: number): void {
    this.#open.delete(xid)
    this.#use(this.#committed)
  }

  planOf(oid: number): Plan | undefined {
    if (oid !== this.#lastOid) {
      this.#lastOid = oid
      this.#lastPlan = (this.#scope.get(oid) ?? this.#committed.get(oid))?.plan
    }
    return this.#lastPlan
  }

  /** True when the Relation message source[start, end), from its oid on, says what is known already. */
  announceAgain(source: Uint8Array, start: number, end: number): boolean {
    const oid = int32At(source, start) >>> 0
    for (const scope of [this.#scope, this.#committed]) {
      const known = scope.get(oid)
      if (known === undefined || !sameBytes(known.bytes, source, start, end)) continue
      this.#scope.set(oid, known)
      this.#lastOid = -1
      return true
    }
    return false
  }

  announce(message: RelationMessage, plan: Plan): void {
    this.#scope.set(message.oid, { bytes: message.bytes, plan })
    this.#lastOid = -1
  }

  #use(scope: Scope): void {
    this.#scope = scope
    this.#lastOid = -1
  }
}

function sameBytes(bytes: Uint8Array, source: Uint8Array, start: number, end: number): boolean {
  if (bytes.length !== end - start) return false
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== source[start + i]) return false
  return true
}
