import { isPrintable } from '../../formats/printable.js';

/** Files of a model folder beside config.json and the weights without which the model is not complete. */
const COMPANIONS: readonly RegExp[] = [
  /^generation_config\.json$/,
  /^tokenizer/,
  /^(special_tokens_map|added_tokens|vocab|tekken)\.json$/,
  /^(vocab|merges)\.txt$/,
  /\.(model|tiktoken|jinja|py)$/,
  /^chat_template/,
  /^(\w+_)?(pre)?processor_config\.json$/,
  /^(LICEN[CS]E|COPYING|NOTICE|USE_POLICY)/i,
];

/** Names that the patterns above would take but that are weights, or belong to a run. */
const NEVER = /\.(safetensors|bin|pt|pth|gguf|onnx|h5|msgpack|ot|npz|ckpt)$|\.index\.json$|\.partial$|^\./;

/** Whether an output takes this file of the source folder along. */
export function isCompanion(name: string): boolean {
  return (
    isPrintable(name) && !/[/\\:]/.test(name) && !NEVER.test(name) && COMPANIONS.some(pattern => pattern.test(name))
  );
}
