import type { Source, TensorInfo } from '../../formats/source.js';
import { walk, type Branch } from './branch.js';
import { isHead, kindOf } from './infer.js';
import type { Tie } from './modules.js';
import { placeOf, type Stack } from './stack.js';

/** Architectures that end in a head over the vocabulary, whether or not the file holds one. */
const HAS_HEAD = /ForCausalLM|LMHead|ForConditionalGeneration/;
const CHUNK_BYTES = 1 << 22;

export interface FindTie {
  readonly root: Branch;
  readonly stack: Stack;
  readonly architecture: string;
  /** `tie_word_embeddings`, or the family's default; undefined where neither says. */
  readonly flag: boolean | undefined;
  readonly source: Source;
}

/**
 * Whether the head reads the embedding's tensor. As in transformers: where config.json says so but the file holds both tensors, they are
 * tied only if they are equal. Adds the head to the tree where only the architecture's name tells of it.
 */
export async function findTie({
  root,
  stack,
  architecture,
  flag,
  source,
}: FindTie): Promise<{ tie?: Tie; note?: string }> {
  const embedding = findEmbedding(root, stack, architecture);
  const owned = stored(embedding);
  const found = findHead(root, stack);
  const own = stored(found);
  if (embedding === undefined || owned === undefined || !(flag ?? own === undefined)) return {};
  if (found === undefined && !HAS_HEAD.test(architecture)) return {};
  const head = found ?? addHead(root, embedding);
  const tie = { head: head.path.join('.'), owner: embedding.path.join('.'), tensor: owned };
  if (own === undefined) return head.tensors.size === 0 ? { tie } : {};
  // equal codes are equal weights only where their scales are, too
  if (isPacked(own) || isPacked(owned)) return {};
  return (await areEqual(source, owned, own))
    ? { tie, note: `${own.name} repeats ${owned.name}, to which config.json ties it, and is left out` }
    : { note: `config.json ties ${own.name} to ${owned.name}, but the two differ: they are kept apart` };
}

/** The tensor that holds a module's weight, or its codes in a checkpoint that packs them. */
const stored = (branch: Branch | undefined): TensorInfo | undefined =>
  branch?.tensors.get('weight') ?? branch?.tensors.get('weight_packed');

const isPacked = ({ name }: TensorInfo): boolean => name.endsWith('_packed');

/** The language model's largest token embedding. */
function findEmbedding(root: Branch, stack: Stack, architecture: string): Branch | undefined {
  let largest: Branch | undefined;
  for (const branch of walk(root)) {
    const weight = stored(branch);
    if (weight === undefined || placeOf(branch.path, stack, false).part !== 'embedding') continue;
    const isEmbedding =
      branch.declared?.classes.includes('Embedding') ?? kindOf(branch.path, weight.shape, architecture) === 'embedding';
    if (isEmbedding && weight.bytes > (stored(largest)?.bytes ?? -1)) largest = branch;
  }
  return largest;
}

function findHead(root: Branch, stack: Stack): Branch | undefined {
  for (const branch of walk(root)) {
    if (isHead(branch.path.at(-1) ?? '') && placeOf(branch.path, stack, true).part === 'head') return branch;
  }
  return undefined;
}

/** `lm_head` beside the body: at the top, or inside `language_model` where that holds the body. */
function addHead(root: Branch, embedding: Branch): Branch {
  const [first, second] = embedding.path;
  const parent = first === 'language_model' && second === 'model' ? root.children.get(first)! : root;
  const head: Branch = { path: [...parent.path, 'lm_head'], children: new Map(), tensors: new Map() };
  parent.children.set('lm_head', head);
  return head;
}

async function areEqual(source: Source, a: TensorInfo, b: TensorInfo): Promise<boolean> {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join() || a.shape.length !== 2) return false;
  const rows = a.shape[0]!;
  const step = Math.max(1, Math.floor((CHUNK_BYTES * rows) / Math.max(1, a.bytes)));
  for (let from = 0; from < rows; from += step) {
    const range = { from, to: Math.min(rows, from + step) };
    const [x, y] = [await source.read(a.name, range), await source.read(b.name, range)];
    if (Buffer.compare(x, y) !== 0) return false;
  }
  return true;
}
