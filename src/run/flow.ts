/**
 * Reading, computing and writing of many pieces at the same time: at most `limit` are under way, and results land one after the other in the
 * order of the pieces. The first failure stops the flow, once everything under way has come to rest.
 * @param stages.load gets a slot 0 ... limit - 1, as work does, which is free again when its piece has landed
 */
export async function flow<Piece, Loaded, Result>(
  pieces: Iterable<Piece>,
  limit: number,
  {
    load,
    work,
    land,
  }: {
    load(piece: Piece, slot: number): Promise<Loaded>;
    work(loaded: Loaded, piece: Piece, slot: number): Promise<Result>;
    land(result: Result, loaded: Loaded, piece: Piece): Promise<void>;
  },
): Promise<void> {
  const free = Array.from({ length: limit }, (_, slot) => slot);
  let released = () => {};
  let failure: { readonly error: unknown } | undefined;

  const compute = async (piece: Piece, slot: number) => {
    const loaded = await load(piece, slot);
    return { loaded, result: await work(loaded, piece, slot) };
  };
  let landing = Promise.resolve();
  for (const piece of pieces) {
    while (free.length === 0) await new Promise<void>(resolve => (released = resolve));
    if (failure !== undefined) break;
    const slot = free.pop()!;
    const computed = compute(piece, slot);
    computed.catch(() => {}); // reported below, in its turn
    landing = landing
      .then(async () => {
        const { loaded, result } = await computed;
        if (failure === undefined) await land(result, loaded, piece);
      })
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .then(() => {
        free.push(slot);
        released();
      });
  }
  await landing;
  if (failure !== undefined) throw (failure as { error: unknown }).error;
}
