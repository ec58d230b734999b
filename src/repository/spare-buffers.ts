/**
 * Large buffers that go round: fresh memory costs a page fault for every 4 KiB, and what is dropped stays until the garbage
 * collector comes, which with packs of some 40 MiB is hundreds of MiB later.
 */
export interface SpareBuffers {
  /** At least so many bytes, of any content. */
  take(bytes: number): Uint8Array<ArrayBuffer>;
  /** The caller must not use it any more, nor any view of it. */
  give(buffer: Uint8Array<ArrayBuffer>): void;
}

export function createSpareBuffers(most: number): SpareBuffers {
  const spare: Uint8Array<ArrayBuffer>[] = [];
  return {
    take(bytes) {
      const fitting = spare.findIndex((buffer) => buffer.length >= bytes);
      return fitting === -1 ? new Uint8Array(bytes) : spare.splice(fitting, 1)[0]!;
    },
    give({ buffer }) {
      if (spare.length >= most) spare.shift();
      spare.push(new Uint8Array(buffer));
    },
  };
}
