/** Poly1305 as RFC 8439 §2.5.1 writes it down, in big integers: what the kernel is compared with. */

const P = (1n << 130n) - 5n;
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;

function fromLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/** The tag, 16 bytes; `r` and `s` are 16 bytes each. */
export function poly1305Reference(r: Uint8Array, s: Uint8Array, message: Uint8Array): Uint8Array {
  const factor = fromLittleEndian(r) & CLAMP;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    const block = message.subarray(at, at + 16);
    const number = fromLittleEndian(block) | (1n << BigInt(8 * block.length));
    sum = ((sum + number) * factor) % P;
  }
  const tag = sum + fromLittleEndian(s);
  return Uint8Array.from({ length: 16 }, (_, index) => Number((tag >> BigInt(8 * index)) & 0xffn));
}
