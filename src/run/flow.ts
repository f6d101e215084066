/**
 * Reading, computing and writing of many pieces at the same time: pieces are loaded one after the other, at most `limit` are under way, and
 * results land in the order of the pieces. The first failure stops the flow, once everything under way has come to rest.
 * @param slots buffers are numbered 0 ... limit - 1; a slot is free again when its piece has landed
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
    work(loaded: Loaded, piece: Piece): Promise<Result>;
    land(result: Result, loaded: Loaded, piece: Piece): Promise<void>;
  },
): Promise<void> {
  let landing = Promise.resolve();
  let failure: { error: unknown } | undefined;
  const free = Array.from({ length: limit }, (_, slot) => slot);
  let released = () => {};
  for (const piece of pieces) {
    while (free.length === 0) await new Promise<void>(resolve => (released = resolve));
    if (failure !== undefined) break;
    const slot = free.pop()!;
    let loaded: Loaded;
    try {
      loaded = await load(piece, slot);
    } catch (error) {
      failure ??= { error };
      break;
    }
    const result = work(loaded, piece);
    landing = landing
      .then(async () => {
        const value = await result;
        if (failure === undefined) await land(value, loaded, piece);
      })
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .then(() => {
        free.push(slot);
        released();
      });
    // a result that fails while earlier ones land is reported in its turn, not as unhandled
    result.catch(() => {});
  }
  await landing;
  if (failure !== undefined) throw (failure as { error: unknown }).error;
}
