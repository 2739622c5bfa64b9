/**
 * A still that the county posts in place of its stream while no media passes. It is never the stream: it comes by
 * another way, is fetched only while no frame is shown, and bears its age at all times.
 */
export interface ShownSnapshot {
  url: string
  ageMs: number
}

export const ASK_EVERY_MS = 3000
const TICK_MS = 500
/** As old as the gateway itself shows one. */
export const OLDEST_MS = 60_000

type Get = (url: string) => Promise<Response>
const plain: Get = (url) => fetch(url, { credentials: 'same-origin' })

export class SnapshotShow {
  private timer: ReturnType<typeof setInterval> | undefined
  private askedAt = -ASK_EVERY_MS
  private url: string | null = null
  private takenAt = 0
  private closed = false

  constructor(
    private readonly stream: string,
    private readonly tell: (shown: ShownSnapshot | null) => void,
    private readonly get: Get = plain,
    private readonly now: () => number = () => performance.now(),
  ) {}

  open(): void {
    this.timer = setInterval(() => void this.tick(), TICK_MS)
    void this.tick()
  }

  close(): void {
    this.closed = true
    clearInterval(this.timer)
    this.drop()
  }

  async tick(): Promise<void> {
    const now = this.now()
    if (this.url && now - this.takenAt > OLDEST_MS) this.drop()
    if (this.url) this.tell({ url: this.url, ageMs: now - this.takenAt })
    if (now - this.askedAt < ASK_EVERY_MS) return
    this.askedAt = now
    try {
      const answer = await this.get(`/api/v1/cameras/${this.stream}/snapshot`)
      if (this.closed) return
      if (answer.status === 404) return this.drop()
      const age = Number(answer.headers.get('x-snapshot-age-ms') ?? NaN)
      if (!answer.ok || !Number.isFinite(age)) return
      const blob = await answer.blob()
      if (this.closed) return
      this.drop()
      this.url = URL.createObjectURL(blob)
      this.takenAt = this.now() - age
      this.tell({ url: this.url, ageMs: age })
    } catch {
      // No gateway: the pane says so already, and the picture grows old on the screen.
    }
  }

  private drop(): void {
    if (!this.url) return
    URL.revokeObjectURL(this.url)
    this.url = null
    this.tell(null)
  }
}
