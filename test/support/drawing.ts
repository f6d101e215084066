export interface Circle {
  /** In pixels of the plot, from its upper left. */
  readonly x: number;
  readonly y: number;
  readonly fill: string;
}

/** The points of a plot that Vega has drawn. */
export function circles(svg: string): Circle[] {
  return [...svg.matchAll(/<path[^>]*transform="translate\(([^,]+),([^)]+)\)"[^>]*d="M[^"]*A[^"]*"[^>]*\/>/g)].map(
    ([path, x, y]) => ({ x: Number(x), y: Number(y), fill: /fill="([^"]*)"/.exec(path)![1]! }),
  );
}

/** All that stands in a plot. */
export function texts(svg: string): string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);
}
