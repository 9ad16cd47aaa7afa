const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;

/** The bytes of a field inside nested protobuf messages, by field numbers from the outside in. */
export function fieldAt(message: Buffer, path: readonly number[]): Buffer {
  return path.reduce((bytes, number) => field(bytes, number), message);
}

function field(message: Buffer, wanted: number): Buffer {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message.readUInt8(at++);
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const type = tag & 7;
    if (type === VARINT) {
      varint();
      continue;
    }
    const length = type === LENGTH_DELIMITED ? varint() : type === FIXED64 ? 8 : 4;
    if (type === LENGTH_DELIMITED && tag >>> 3 === wanted) return message.subarray(at, at + length);
    at += length;
  }
  throw new Error(`an answer lacks field ${wanted}`);
}
