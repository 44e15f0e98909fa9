/** The codecs that kafkajs leaves to its users, for producers and judges in tests. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { compressSync, uncompressSync } from 'snappy'

interface Encoder {
  readonly buffer: Buffer
}

export function addCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.Snappy] = codec(compressSync, (bytes) =>
    Buffer.from(uncompressSync(unframed(bytes))),
  )
  CompressionCodecs[CompressionTypes.LZ4] = codec(compressFrameSync, decompressFrameSync)
  CompressionCodecs[CompressionTypes.ZSTD] = codec(zstdCompressSync, zstdDecompressSync)
}

function codec(compress: (bytes: Buffer) => Buffer, decompress: (bytes: Buffer) => Buffer) {
  return () => ({
    compress: (encoder: Encoder) => Promise.resolve(compress(encoder.buffer)),
    decompress: (bytes: Buffer) => Promise.resolve(decompress(bytes)),
  })
}

/** A broker may send snappy in the framing of Java's library, when it compressed anew. Ours never does. */
function unframed(bytes: Buffer): Buffer {
  if (bytes[0] === 0x82) throw new Error('framed snappy')
  return bytes
}
