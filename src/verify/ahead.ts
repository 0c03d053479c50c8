/** Something that comes one by one, of which the next can be looked at before it is taken. */
export class Ahead<T> {
  private readonly from: AsyncIterator<T>;
  private looked: IteratorResult<T> | null = null;

  constructor(from: AsyncIterable<T>) {
    this.from = from[Symbol.asyncIterator]();
  }

  /** Takes the next if it fits; null: it does not, or there is none any more. */
  async next(fits: (next: T) => boolean = () => true): Promise<T | null> {
    this.looked ??= await this.from.next();
    if (this.looked.done === true || !fits(this.looked.value)) return null;
    const { value } = this.looked;
    this.looked = null;
    return value;
  }

  /** Takes what comes next as long as it fits. */
  async *while(fits: (next: T) => boolean): AsyncGenerator<T> {
    for (let next = await this.next(fits); next !== null; next = await this.next(fits)) yield next;
  }
}
