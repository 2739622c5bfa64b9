import { STALLED_AFTER_MS, type PlayReport } from './whep'
import type { LayerName, SlotTold, WallSession } from './wallSession'

export interface SlotPlace {
  wall: WallSession
  index: number
  layer: LayerName
  priority: number
}

const LOOK_MS = 400
const STILL_EVERY_MS = 3000

interface FrameFacts {
  receiveTime?: number
}

/**
 * Tell whether a frame belongs to what the slot shows now: one that arrived before the gateway's word is of the former
 * camera, and would stand under a wrong name.
 */
export function belongs(told: SlotTold | null, stream: string, receivedAt: number): boolean {
  return told !== null && told.stream === stream && (told.showing === 'main' || told.showing === 'thumb') && receivedAt >= told.heardAt
}

/** Shows one slot of a wall in one video element, and stills where the wall fails. */
export class SlotPlayer {
  private frameHandle = 0
  private lookTimer = 0
  private frameAt: number | null = null
  private readonly startedAt = performance.now()
  private firstFrameS: number | null = null
  private frames = 0
  private observer: IntersectionObserver | null = null
  private visible = true
  private stillUrl: string | null = null
  private stillAt = 0
  private stillTakenAt = 0
  private closed = false

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly stream: string,
    private place: SlotPlace,
    private readonly tell: (report: PlayReport) => void,
  ) {}

  open(): void {
    this.video.srcObject = this.place.wall.picture(this.place.index)
    this.video.play().catch(() => undefined)
    this.observer = new IntersectionObserver((entries) => {
      this.visible = entries.some((entry) => entry.isIntersecting)
      this.wish()
    })
    this.observer.observe(this.video)
    this.wish()
    this.watchFrames()
    this.lookTimer = window.setInterval(() => this.look(), LOOK_MS)
    this.look()
  }

  /** Change the layer or the priority; the picture goes on. */
  update(place: SlotPlace): void {
    this.place = place
    this.wish()
  }

  restart(): void {
    // The wall restarts as a whole.
  }

  lost(): void {
    // So it does when its media worker died.
  }

  close(): void {
    this.closed = true
    window.clearInterval(this.lookTimer)
    this.observer?.disconnect()
    this.video.cancelVideoFrameCallback(this.frameHandle)
    this.video.srcObject = null
    this.dropStill()
    this.place.wall.assign('video', this.place.index, null)
  }

  private wish(): void {
    const { wall, index, layer, priority } = this.place
    wall.assign('video', index, this.visible ? { stream: this.stream, layer, priority } : null)
  }

  private watchFrames(): void {
    const seen = (now: number, facts: FrameFacts): void => {
      const told = this.place.wall.slot('video', this.place.index)
      if (belongs(told, this.stream, facts.receiveTime ?? now)) {
        if (this.frameAt === null) this.firstFrameS = (performance.now() - this.startedAt) / 1000
        this.frameAt = performance.now()
        this.frames += 1
        this.place.wall.seen()
        if (this.frames === 1) this.look()
      }
      this.frameHandle = this.video.requestVideoFrameCallback(seen)
    }
    this.frameHandle = this.video.requestVideoFrameCallback(seen)
  }

  private look(): void {
    const { wall, index } = this.place
    const told = wall.slot('video', index)
    const now = performance.now()
    // An emptied or switched slot shows nothing of ours any more.
    if (!told || told.stream !== this.stream) this.frameAt = null
    const age = this.frameAt === null ? null : now - this.frameAt
    const fresh = age !== null && age <= STALLED_AFTER_MS
    const state = fresh ? 'live' : wall.state === 'retrying' ? 'retrying' : age !== null ? 'stalled' : 'connecting'
    void this.refreshStill(fresh, now)
    this.tell({
      state,
      reason: fresh ? null : wall.state === 'retrying' ? wall.reason : (told?.why ?? null),
      since: told?.why ? told.since : null,
      frameAgeMs: age,
      firstFrameS: this.firstFrameS,
      frames: this.frames,
      width: this.video.videoWidth,
      height: this.video.videoHeight,
      tries: wall.tries,
      still: this.stillUrl && !fresh ? { url: this.stillUrl, ageMs: now - this.stillTakenAt } : null,
    })
  }

  private async refreshStill(fresh: boolean, now: number): Promise<void> {
    if (fresh) return this.dropStill()
    if (!this.place.wall.failing || !this.visible || now - this.stillAt < STILL_EVERY_MS) return
    this.stillAt = now
    try {
      const answer = await fetch(`/api/v1/cameras/${this.stream}/still`, { credentials: 'same-origin' })
      if (!answer.ok || this.closed) return
      const age = Number(answer.headers.get('x-frame-age-ms') ?? 0)
      const url = URL.createObjectURL(await answer.blob())
      this.dropStill()
      this.stillUrl = url
      this.stillTakenAt = performance.now() - age
    } catch {
      // No gateway: the pane says so already.
    }
  }

  private dropStill(): void {
    if (this.stillUrl) URL.revokeObjectURL(this.stillUrl)
    this.stillUrl = null
  }
}
