/** The bytes of one INSERT while they are built: grows by doubling, handed over without a copy. Hot. */
export class NativeWriter {
  bytes: Uint8Array
  view: DataView
  at = 0

  constructor(bytesExpected: number) {
    this.bytes = new Uint8Array(Math.max(1024, bytesExpected))
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes room for `count` more bytes; read `bytes` and `view` after it, it may replace them. */
  ensure(count: number): void {
    if (this.at + count <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + count))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  /** LEB128, as every length and count of the format. */
  varint(value: number): void {
    this.ensure(10)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.bytes[this.at++] = (rest & 0x7f) | 0x80
    this.bytes[this.at++] = rest
  }

  raw(source: Uint8Array): void {
    this.ensure(source.length)
    this.bytes.set(source, this.at)
    this.at += source.length
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.at)
  }
}
