/** Waits that grow from `first` to `most` seconds, with jitter so that many screens do not return in step. */
export class Backoff {
  private step = 0

  constructor(
    private readonly first = 0.5,
    private readonly most = 8,
    private readonly random: () => number = Math.random,
  ) {}

  /** Seconds to wait before the next try. */
  next(): number {
    const whole = Math.min(this.most, this.first * 2 ** this.step)
    this.step += 1
    return whole * (0.5 + this.random() / 2)
  }

  reset(): void {
    this.step = 0
  }

  get tries(): number {
    return this.step
  }
}
