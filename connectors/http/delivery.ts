/**
 * Delivery: one request from when its body is there until it is answered. It is answered when its rows are
 * in a commit, and when those are that it passed over because another request, still under way, had brought
 * them under the same idempotency key.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RouteCall } from '../../core/connector/http-routes.ts'
import { sendRefusal, sendTaken } from './push-answer.ts'
import { freeBody, type Refusal } from './push-body.ts'

export interface DeliveryParts {
  readonly topic: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly call: RouteCall
  readonly query: URLSearchParams
  /** Unpacked; empty once its records are taken out of it. */
  body: Buffer
  /** What it holds of the budget of waiting bytes. */
  readonly heldBytes: number
  readonly receivedMs: number
  /** Hash of what was signed, where that is its idempotency key. */
  readonly signed: string | null
}

/** Stands where a body was. */
const taken = Buffer.alloc(0)

export class Delivery {
  readonly parts: DeliveryParts
  accepted = 0
  duplicates = 0
  setAside = 0
  /** Its neighbours among those that wait (push-watch.ts). */
  before: Delivery | null = null
  behind: Delivery | null = null
  /** Its records among those that are decoded with it: [firstRecord, endRecord). */
  firstRecord = 0
  endRecord = 0
  /** Hashes of the idempotency keys that it brings. */
  readonly keys: Buffer[] = []
  readonly #settled: (delivery: Delivery) => void
  /** Others that passed over rows because this one brings them. */
  #followers: Delivery[] | null = null
  #waitsFor = 0
  #isStored = false
  #isOver = false
  #broken = false
  #isAnswered = false
  #status = 200

  /** `settled`: called once, when nothing is held for it any more. */
  constructor(parts: DeliveryParts, settled: (delivery: Delivery) => void) {
    this.parts = parts
    this.#settled = settled
  }

  /** Of its answer. */
  get status(): number {
    return this.#status
  }
  get isAnswered(): boolean {
    return this.#isAnswered
  }
  /** Its records are on their way into a commit. */
  get isTaken(): boolean {
    return this.parts.body === taken
  }

  /** Its records are taken out of the body: there is no need to keep it until the answer. */
  dropBody(): void {
    freeBody(this.parts.body)
    this.parts.body = taken
  }

  /** It passed over a row that `other` brings. */
  follow(other: Delivery): void {
    if (other === this || other.#followers?.includes(this) === true) return
    other.#followers ??= []
    other.#followers.push(this)
    this.#waitsFor++
  }

  /** Its rows are in a commit, or it has none. */
  stored(): void {
    this.#isStored = true
    this.#settle()
    this.#letFollow(false)
  }

  /** It is not taken; whoever relied on it has to send again. */
  refused(refusal: Refusal): void {
    this.answer(refusal)
    this.#isStored = true
    this.#waitsFor = 0
    this.#settle()
    this.#letFollow(true)
  }

  /** Answers before anything is settled: the caller has waited long enough. */
  answer(refusal: Refusal): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#status = refusal.status
    sendRefusal(this.parts.request, this.parts.response, refusal)
  }

  #letFollow(broken: boolean): void {
    const followers = this.#followers
    this.#followers = null
    for (const follower of followers ?? []) follower.#unfollow(broken)
  }

  #unfollow(broken: boolean): void {
    this.#waitsFor--
    this.#broken ||= broken
    this.#settle()
  }

  #settle(): void {
    if (!this.#isStored || this.#waitsFor > 0 || this.#isOver) return
    this.#isOver = true
    if (this.#broken) this.answer(sendAgain)
    if (!this.#isAnswered) {
      this.#isAnswered = true
      sendTaken(this.parts.response, this)
    }
    this.#settled(this)
  }
}

const sendAgain: Refusal = {
  status: 503,
  code: 'http.send_again',
  detail: 'another request with the same idempotency key was not stored; send this one again',
  retryAfterS: 1,
}
