import type { TensorInfo } from '../../formats/source.js';
import { inDeclarationOrder } from './infer.js';
import type { Node } from './tree.js';

/** A module while the tree is put together from a declaration and from tensor names. */
export interface Branch {
  readonly path: readonly string[];
  readonly children: Map<string, Branch>;
  /** The file's tensors of this module by the last segment of their name. */
  readonly tensors: Map<string, TensorInfo>;
  /** Absent for a module that was found in the file only. */
  readonly declared?: Node;
}

/** Deeper than any model; what is named deeper stays with its ancestor at this depth. */
const MAX_DEPTH = 32;
/** Longer than any name; patterns are not tried on more. */
const MAX_LENGTH = 500;

/** The declared tree as branches without tensors. */
export function grow(declared: Node | undefined, path: readonly string[] = []): Branch {
  const children = new Map(
    Object.entries(declared?.children ?? {}).map(([name, child]) => [name, grow(child, [...path, name])] as const),
  );
  return { path, children, tensors: new Map(), ...(declared === undefined ? {} : { declared }) };
}

/** Hangs every tensor on the branch that its name leads to, making branches where there are none. */
export function hang(root: Branch, tensors: Iterable<TensorInfo>): void {
  for (const tensor of tensors) {
    const segments = tensor.name.split('.');
    // a name that begins with a dot would make a second module without a name; a very long one is no module's either
    const path =
      segments[0] === '' || tensor.name.length > MAX_LENGTH
        ? []
        : segments.slice(0, Math.min(segments.length - 1, MAX_DEPTH));
    let branch = root;
    path.forEach((segment, i) => {
      let child = branch.children.get(segment);
      if (child === undefined) {
        child = { path: path.slice(0, i + 1), children: new Map(), tensors: new Map() };
        branch.children.set(segment, child);
      }
      branch = child;
    });
    branch.tensors.set(segments.slice(path.length).join('.'), tensor);
  }
}

/** Puts the children of every branch into declaration order: declared ones first, then by the order that decoders usually have. */
export function arrange(branch: Branch): void {
  if (branch.children.size === 0) return;
  const all = [...branch.children];
  const found = all.filter(([, { declared }]) => declared === undefined);
  if (found.length > 0) {
    const known = all.filter(([, { declared }]) => declared !== undefined);
    branch.children.clear();
    for (const [name, child] of [...known, ...inDeclarationOrder(found, ([name]) => name)])
      branch.children.set(name, child);
  }
  for (const child of branch.children.values()) arrange(child);
}

/** Depth first, parents before children. */
export function* walk(branch: Branch): Generator<Branch> {
  yield branch;
  for (const child of branch.children.values()) yield* walk(child);
}

/** Drops the separate experts of a declaration where the file holds all experts of a layer in one tensor. */
export function pruneFusedExperts(root: Branch): void {
  for (const branch of walk(root)) {
    if (![...branch.tensors.values()].some(({ shape }) => shape.length >= 3)) continue;
    for (const [name, child] of branch.children) {
      if (/^\d+$/.test(name) && [...walk(child)].every(({ tensors }) => tensors.size === 0))
        branch.children.delete(name);
    }
  }
}

/** Names of declared tensors that the file lacks. */
export function missing(root: Branch, leaf: 'weight' | 'bias'): string[] {
  return [...walk(root)]
    .filter(({ declared, tensors }) => declared?.tensors.includes(leaf) === true && !tensors.has(leaf))
    .map(({ path }) => [...path, leaf].join('.'));
}
