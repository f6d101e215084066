/** Writes ONNX models: the few messages of onnx.proto that a graph of tensors needs, as protocol buffers. */

/** Types of elements, by their number in `TensorProto.DataType`. */
export const ONNX_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  float8e4m3fn: 17,
} as const;
export type OnnxType = keyof typeof ONNX_TYPES;

/** ONNX tells a whole number from a float, so an attribute says which it is. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly string: string };

export interface OnnxNode {
  readonly op: string;
  /** Empty for ONNX's own operators. */
  readonly domain?: string;
  /** An empty name stands for an input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxType;
  /** A dimension with a name may differ from run to run. */
  readonly shape: readonly (number | string)[];
}

export interface OnnxConstant {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
  /** Little-endian elements, row by row. */
  readonly bytes: Uint8Array;
}

export interface OnnxGraph {
  /** In an order in which each node comes after those that it reads. */
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants: readonly OnnxConstant[];
}

const IR_VERSION = 10;
const OPSET = 21;

/** Operators of onnxruntime itself. */
export const MICROSOFT = 'com.microsoft';

/** The bytes of a ModelProto with this graph: IR version 10, opset 21 and onnxruntime's own operators. */
export function encodeOnnx({ nodes, inputs, outputs, constants }: OnnxGraph): Uint8Array {
  const graph = join([
    ...nodes.map(node => message(1, encodeNode(node))),
    text(2, 'graph'),
    ...constants.map(constant => message(5, encodeConstant(constant))),
    ...inputs.map(value => message(11, encodeValue(value))),
    ...outputs.map(value => message(12, encodeValue(value))),
  ]);
  return join([
    whole(1, IR_VERSION),
    message(7, graph),
    message(8, join([text(1, ''), whole(2, OPSET)])),
    message(8, join([text(1, MICROSOFT), whole(2, 1)])),
  ]);
}

function encodeNode({ op, domain = '', inputs, outputs, attributes }: OnnxNode): Uint8Array {
  return join([
    ...inputs.map(name => text(1, name)),
    ...outputs.map(name => text(2, name)),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => message(5, encodeAttribute(name, value))),
    text(7, domain),
  ]);
}

function encodeAttribute(name: string, value: OnnxAttribute): Uint8Array {
  if ('float' in value) return join([text(1, name), float(2, value.float), whole(20, 1)]);
  if ('int' in value) return join([text(1, name), whole(3, value.int), whole(20, 2)]);
  if ('string' in value) return join([text(1, name), text(4, value.string), whole(20, 3)]);
  return join([text(1, name), ...value.ints.map(int => whole(8, int)), whole(20, 7)]);
}

function encodeConstant({ name, type, shape, bytes }: OnnxConstant): Uint8Array {
  return join([...shape.map(size => whole(1, size)), whole(2, ONNX_TYPES[type]), text(8, name), message(9, bytes)]);
}

function encodeValue({ name, type, shape }: OnnxValue): Uint8Array {
  const dimensions = shape.map(size => message(1, typeof size === 'number' ? whole(1, size) : text(2, size)));
  const tensor = join([whole(1, ONNX_TYPES[type]), message(2, join(dimensions))]);
  return join([text(1, name), message(2, message(1, tensor))]);
}

/** A field of varint type; negative numbers as 64-bit two's complement. */
function whole(field: number, value: number): Uint8Array {
  return join([varint(BigInt(field * 8)), varint(BigInt.asUintN(64, BigInt(value)))]);
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return join([varint(BigInt(field * 8 + 5)), bytes]);
}

function text(field: number, value: string): Uint8Array {
  return message(field, new TextEncoder().encode(value));
}

function message(field: number, bytes: Uint8Array): Uint8Array {
  return join([varint(BigInt(field * 8 + 2)), varint(BigInt(bytes.length)), bytes]);
}

/** Seven bits a byte, lowest first; all bytes but the last have their top bit set. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
