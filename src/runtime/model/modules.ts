import type { TensorInfo } from '../../formats/source.js';
import type { ModelDType } from '../../numerics/dtypes.js';
import type { Branch } from './branch.js';
import { classesOf, containerClasses, familyOf, kindOf, type Kind } from './infer.js';
import type { Module, Part, Weight } from './model.js';
import { layerIndex, placeOf, type Stack } from './stack.js';
import { reasonOf, Untouched } from './untouched.js';

/** A head that reads the embedding's tensor. */
export interface Tie {
  readonly head: string;
  /** The embedding's module. */
  readonly owner: string;
  readonly tensor: TensorInfo;
}

export interface Listed {
  readonly modules: readonly Module[];
  readonly parts: readonly Part[];
  /** Sentences: what passes through untouched. */
  readonly untouched: readonly string[];
  /** How many modules of each kind were found in the file only. */
  readonly inferred: ReadonlyMap<Kind, number>;
}

/**
 * Members of a fused family have one parent and share the global scale of NVFP4 (as llm-compressor fuses them for vLLM), if the parent has
 * all of them.
 */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  qkv: ['q_proj', 'k_proj', 'v_proj'],
  qkv_a: ['q_a_proj', 'kv_a_proj_with_mqa'],
  gate_up: ['gate_proj', 'up_proj'],
  w13: ['w1', 'w3'],
};

/** By these a module is known to have a weight where the weight itself is quantized: compressed-tensors, GPTQ and AWQ. */
const CODES = ['weight_packed', 'weight_scale', 'qweight'];

/** The tree as modules and parts, in tree order, with notes on what no rule covers. */
export function listModules(
  root: Branch,
  {
    architecture,
    stack,
    tie,
    quantized,
  }: { architecture: string; stack: Stack; tie: Tie | undefined; quantized: boolean },
): Listed {
  const untouched = new Untouched();
  const inferred = new Map<Kind, number>();
  const modules: Module[] = [];
  const parts = new Map<string, { modules: Module[]; tensors: string[] }>();
  const list = stack.path?.join('.');
  let after = false;

  function visit(branch: Branch, family?: string): void {
    const { path, tensors, declared } = branch;
    const name = path.join('.');
    const place = placeOf(path, stack, after);
    const reason = 'reason' in place ? place.reason : undefined;
    const own = tensors.get('weight');
    const hasWeight = own !== undefined || CODES.some(code => tensors.has(code));
    const isTied = tie?.head === name;
    const kind =
      declared !== undefined
        ? undefined
        : isTied
          ? 'linear'
          : hasWeight
            ? kindOf(path, own?.shape ?? [0, 0], architecture)
            : undefined;
    const classes = declared?.classes ?? inferredClasses(branch, kind, stack, architecture);
    const takesScheme = classes[0] === 'Linear' || classes[0] === 'Embedding';
    const weight =
      takesScheme && kind !== 'position' && reason === undefined
        ? isTied
          ? weightOf(tie.tensor, tie.owner)
          : weightOf(own)
        : undefined;
    const bias = hasWeight ? tensors.get('bias')?.name : undefined;
    const module: Module = {
      name,
      classes: [...classes, 'Module'],
      ...(weight && { weight }),
      ...(bias !== undefined && { bias }),
      ...(weight && family !== undefined && { family }),
    };
    modules.push(module);
    if (kind !== undefined && reason === undefined) inferred.set(kind, (inferred.get(kind) ?? 0) + 1);

    const part = parts.get(place.part) ?? { modules: [], tensors: [] };
    parts.set(place.part, part);
    part.modules.push(module);
    for (const [leaf, tensor] of tensors) {
      // a tied head's own copy of the embedding belongs to no part: nobody writes it again
      if (leaf === 'weight' && isTied) continue;
      part.tensors.push(tensor.name);
      const why = reason ?? reasonOf(leaf, tensor, { kind, takesScheme, quantizable: weight !== undefined });
      if (why !== undefined && !quantized) untouched.add(why, tensor.name);
    }

    for (const child of branch.children.values()) visit(child, familyIn(branch, child));
    if (name === list) after = true;
  }
  visit(root);

  const order = (id: string) => ['embedding', id.startsWith('layers.') ? id : '', 'head', 'other'].indexOf(id);
  return {
    modules,
    parts: [...parts].map(([id, part]) => ({ id, ...part })).sort((a, b) => order(a.id) - order(b.id)),
    untouched: untouched.sentences(),
    inferred,
  };
}

function inferredClasses(
  branch: Branch,
  kind: Kind | undefined,
  stack: Stack,
  architecture: string,
): readonly string[] {
  const { path, tensors, children } = branch;
  const family = familyOf(architecture);
  if (kind !== undefined) {
    return classesOf(kind, family, { dimensions: tensors.get('weight')?.shape.length ?? 2, bias: tensors.has('bias') });
  }
  const base = [`${family}PreTrainedModel`, 'PreTrainedModel'];
  if (path.length === 0) return [architecture, ...base];
  if (layerIndex(path, stack.path) !== undefined && path.length === stack.path!.length + 1) {
    return [`${family}DecoderLayer`, 'GradientCheckpointingLayer'];
  }
  const holdsLayers =
    path.length === (stack.path?.length ?? 0) - 1 && path.every((segment, i) => stack.path![i] === segment);
  return holdsLayers ? [`${family}Model`, ...base] : containerClasses(path.at(-1)!, family, [...children.keys()]);
}

function familyIn(parent: Branch, child: Branch): string | undefined {
  const last = child.path.at(-1)!;
  const [family] = Object.entries(FAMILIES).find(
    ([, members]) => members.includes(last) && members.every(member => parent.children.has(member)),
  ) ?? [undefined];
  return family === undefined ? undefined : [...parent.path, family].join('.');
}

function weightOf(tensor: TensorInfo | undefined, tiedTo?: string): Weight | undefined {
  if (tensor?.shape.length !== 2 || !isModelDType(tensor.dtype)) return undefined;
  const [rows, columns] = tensor.shape as [number, number];
  if (rows === 0 || columns === 0) return undefined;
  return { tensor: tensor.name, rows, columns, dtype: tensor.dtype, ...(tiedTo !== undefined && { tiedTo }) };
}

function isModelDType(dtype: string): dtype is ModelDType {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}
