/** `model.layers.3.mlp.experts.17.up_proj`: the stack, the layer, the place in the layer. */
export function placeOf(module: string): { stack: string; layer: number; place: string } | undefined {
  const [, stack, layer, rest] = /^(.*?)\.(\d{1,4})\.(.+)$/s.exec(module) ?? [];
  if (stack === undefined || rest === undefined) return undefined;
  return { stack, layer: Number(layer), place: rest.replace(/\.\d+(?=\.|$)/g, '.*') };
}

/** What the experts of a layer have in common: `model.layers.3.mlp.experts.*.up_proj`. */
export function alikeName(module: string): string {
  const at = placeOf(module);
  return at === undefined ? module : `${at.stack}.${at.layer}.${at.place}`;
}
